// Output ring with stream tags.
#include "ring.h"

#include <string.h>
#include <sys/mman.h>

#define BYTES_PER_TAG 32u

static size_t mapped_size(const struct ring *r) {
    return r->cap + (size_t)r->tag_cap * sizeof(uint64_t);
}

bool ring_init(struct ring *r, uint32_t cap) {
    *r = (struct ring){.cap = cap, .tag_cap = cap / BYTES_PER_TAG};
    void *p = mmap(NULL, mapped_size(r), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        *r = (struct ring){0};
        return false;
    }
    r->data = p;
    r->tags = (uint64_t *)(void *)(r->data + cap);
    return true;
}

void ring_free(struct ring *r) {
    if (r->data != NULL) {
        munmap(r->data, mapped_size(r));
    }
    *r = (struct ring){0};
}

static uint64_t tag_at(const struct ring *r, uint32_t i) {
    return r->tags[(r->tag_first + i) % r->tag_cap];
}

static uint64_t tag_start(const struct ring *r, uint32_t i) {
    return i < r->tag_count ? tag_at(r, i) >> 2 : r->end;
}

static uint8_t last_stream(const struct ring *r) {
    return r->tag_count == 0 ? 0 : (uint8_t)(tag_at(r, r->tag_count - 1) & 3);
}

size_t ring_room(const struct ring *r, uint8_t stream, uint64_t floor) {
    bool needs_tag = last_stream(r) != stream;
    if (needs_tag && r->tag_count == r->tag_cap && tag_start(r, 1) > floor) {
        return 0;
    }
    uint64_t used = r->end - floor;
    return used >= r->cap ? 0 : (size_t)(r->cap - used);
}

static void drop_first_tag(struct ring *r) {
    r->tag_first = (r->tag_first + 1) % r->tag_cap;
    r->tag_count--;
}

static void add_tag(struct ring *r, uint8_t stream) {
    if (r->tag_count == r->tag_cap) {
        drop_first_tag(r);
        r->oldest = tag_start(r, 0);
    }
    r->tags[(r->tag_first + r->tag_count) % r->tag_cap] = r->end << 2 | stream;
    r->tag_count++;
}

void ring_append(struct ring *r, uint8_t stream, const uint8_t *data, size_t n) {
    if (n == 0) {
        return;
    }
    if (last_stream(r) != stream) {
        add_tag(r, stream);
    }
    size_t at = (size_t)(r->end % r->cap);
    size_t tail = r->cap - at < n ? r->cap - at : n;
    memcpy(r->data + at, data, tail);
    memcpy(r->data, data + tail, n - tail);
    r->end += n;
    if (r->end - r->oldest > r->cap) {
        r->oldest = r->end - r->cap;
    }
    while (r->tag_count > 1 && tag_start(r, 1) <= r->oldest) {
        drop_first_tag(r);
    }
}

// The last tag that starts at or before seq.
static uint32_t find_tag(const struct ring *r, uint64_t seq) {
    uint32_t low = 0;
    uint32_t high = r->tag_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (tag_start(r, middle) <= seq) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t ring_read(const struct ring *r, uint64_t seq, uint8_t *to, size_t n, uint8_t *stream) {
    uint32_t tag = find_tag(r, seq);
    uint64_t run = tag_start(r, tag + 1) - seq;
    if (run < n) {
        n = (size_t)run;
    }
    *stream = (uint8_t)(tag_at(r, tag) & 3);
    size_t at = (size_t)(seq % r->cap);
    size_t tail = r->cap - at < n ? r->cap - at : n;
    memcpy(to, r->data + at, tail);
    memcpy(to + tail, r->data, n - tail);
    return n;
}
