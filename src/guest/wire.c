// Wire format: growable buffers, field readers and writers, frame headers.
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 512u

size_t buf_size(const struct buf *b) {
    return b->len - b->head;
}

uint8_t *buf_front(struct buf *b) {
    return b->data == NULL ? NULL : b->data + b->head;
}

uint8_t *buf_reserve(struct buf *b, size_t n) {
    if (b->failed) {
        return NULL;
    }
    if (b->cap - b->len >= n && b->data != NULL) {
        return b->data + b->len;
    }
    if (b->head > 0) {
        memmove(b->data, b->data + b->head, buf_size(b));
        b->len -= b->head;
        b->head = 0;
    }
    if (b->cap - b->len < n || b->data == NULL) {
        size_t cap = b->cap < 256 ? 256 : b->cap;
        while (cap - b->len < n) {
            cap *= 2;
        }
        uint8_t *grown = realloc(b->data, cap);
        if (grown == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_put(struct buf *b, const void *data, size_t n) {
    uint8_t *to = buf_reserve(b, n);
    if (to != NULL && n > 0) {
        memcpy(to, data, n);
        b->len += n;
    }
}

// An emptied buffer gives its memory back: most connections are idle most of the time.
void buf_drop(struct buf *b, size_t n) {
    b->head += n;
    if (b->head >= b->len) {
        buf_free(b);
    }
}

void buf_free(struct buf *b) {
    bool failed = b->failed;
    free(b->data);
    *b = (struct buf){.failed = failed};
}

static void put_le(struct buf *b, uint64_t v, size_t n) {
    uint8_t raw[8];
    for (size_t i = 0; i < n; i++) {
        raw[i] = (uint8_t)(v >> (8 * i));
    }
    buf_put(b, raw, n);
}

void put_u8(struct buf *b, uint8_t v) {
    put_le(b, v, 1);
}

void put_u16(struct buf *b, uint16_t v) {
    put_le(b, v, 2);
}

void put_u32(struct buf *b, uint32_t v) {
    put_le(b, v, 4);
}

void put_u64(struct buf *b, uint64_t v) {
    put_le(b, v, 8);
}

void put_bytes(struct buf *b, const void *data, size_t n) {
    put_u32(b, (uint32_t)n);
    buf_put(b, data, n);
}

void put_str(struct buf *b, const char *s) {
    put_bytes(b, s, strlen(s));
}

size_t frame_begin(struct buf *b, enum frame_type type) {
    size_t mark = buf_size(b);
    put_u32(b, 0);
    put_u8(b, (uint8_t)type);
    put_u8(b, 0);
    put_u16(b, 0);
    return mark;
}

void frame_end(struct buf *b, size_t mark) {
    if (b->failed) {
        return;
    }
    uint8_t *header = b->data + b->head + mark;
    size_t len = buf_size(b) - mark - FRAME_HEADER;
    for (size_t i = 0; i < 4; i++) {
        header[i] = (uint8_t)(len >> (8 * i));
    }
}

void frame_empty(struct buf *b, enum frame_type type) {
    frame_end(b, frame_begin(b, type));
}

void frame_error(struct buf *b, uint16_t code, int err, const char *message) {
    size_t len = strlen(message);
    size_t mark = frame_begin(b, FRAME_ERROR);
    put_u16(b, code);
    put_u16(b, 0);
    put_u32(b, (uint32_t)err);
    put_bytes(b, message, len < MAX_MESSAGE ? len : MAX_MESSAGE);
    frame_end(b, mark);
}

static uint64_t load_le(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static uint8_t *take(struct rd *r, size_t n) {
    if (r->bad || r->left < n) {
        r->bad = true;
        return NULL;
    }
    uint8_t *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

static uint64_t rd_le(struct rd *r, size_t n) {
    const uint8_t *p = take(r, n);
    return p == NULL ? 0 : load_le(p, n);
}

uint8_t rd_u8(struct rd *r) {
    return (uint8_t)rd_le(r, 1);
}

uint16_t rd_u16(struct rd *r) {
    return (uint16_t)rd_le(r, 2);
}

uint32_t rd_u32(struct rd *r) {
    return (uint32_t)rd_le(r, 4);
}

uint64_t rd_u64(struct rd *r) {
    return rd_le(r, 8);
}

uint8_t *rd_bytes(struct rd *r, uint32_t *len) {
    uint32_t n = rd_u32(r);
    uint8_t *p = take(r, n);
    *len = p == NULL ? 0 : n;
    return p;
}

char *rd_str(struct rd *r) {
    static char empty[1];
    uint32_t n;
    uint8_t *p = rd_bytes(r, &n);
    if (p == NULL) {
        empty[0] = '\0';
        return empty;
    }
    if (memchr(p, 0, n) != NULL) {
        r->has_nul = true;
    }
    char *s = (char *)(p - 4);
    memmove(s, p, n);
    s[n] = '\0';
    return s;
}

struct list rd_list(struct rd *r) {
    struct list l = {.count = rd_u32(r)};
    for (uint32_t i = 0; i < l.count && !r->bad; i++) {
        char *s = rd_str(r);
        if (i == 0) {
            l.first = s;
        }
    }
    return r->bad ? (struct list){0} : l;
}

char *list_next(char *s) {
    return s + strlen(s) + 4;
}

static bool from_host(uint8_t type, bool first) {
    return first ? type == FRAME_REQUEST : type >= FRAME_STDIN && type <= FRAME_WRITE_END;
}

enum frame_status frame_parse(uint8_t *data, size_t n, bool first, struct frame *out) {
    if (n < FRAME_HEADER) {
        return FRAME_MORE;
    }
    out->len = (uint32_t)load_le(data, 4);
    out->type = data[4];
    out->payload = data + FRAME_HEADER;
    if (!from_host(out->type, first) || data[5] != 0 || data[6] != 0 || data[7] != 0) {
        return FRAME_BAD;
    }
    if (out->len > (first ? MAX_REQUEST : MAX_FRAME)) {
        return FRAME_TOO_LONG;
    }
    return n - FRAME_HEADER < out->len ? FRAME_MORE : FRAME_WHOLE;
}
