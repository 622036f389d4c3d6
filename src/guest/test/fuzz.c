// libFuzzer over everything that takes bytes from outside: frames, requests, user files, the ring.
// The first byte chooses which.
#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "ring.h"
#include "users.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

// Walks a whole byte stream as a connection does, in growing pieces.
static void fuzz_frames(uint8_t *data, size_t size) {
    bool first = true;
    size_t at = 0;
    for (size_t have = 0; have <= size; have++) {
        struct frame f;
        enum frame_status status = frame_parse(data + at, have - at, first, &f);
        if (status == FRAME_MORE) {
            continue;
        }
        if (status != FRAME_WHOLE) {
            return;
        }
        require(f.payload + f.len == data + have && f.len <= (first ? MAX_REQUEST : MAX_FRAME));
        at = have;
        first = false;
    }
}

static size_t walk(const struct list *l, const uint8_t *end) {
    size_t total = 0;
    char *s = l->first;
    for (uint32_t i = 0; i < l->count; i++, s = list_next(s)) {
        total += strlen(s);
        require((const uint8_t *)s + strlen(s) < end);
    }
    return total;
}

static void fuzz_request(uint8_t *data, size_t size) {
    struct request q;
    struct request_error error;
    if (!request_decode(data, (uint32_t)size, &q, &error)) {
        require(error.code > 0 && error.code <= 30 && strlen(error.message) < sizeof error.message);
        return;
    }
    const char *texts[] = {q.user, q.path, q.to, q.name, q.tag, q.cwd, q.address, q.hostname, q.machine_id};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        require(texts[i] == NULL || strlen(texts[i]) <= 4095);
    }
    require(walk(&q.argv, data + size) + walk(&q.env, data + size) <= size);
    require(q.value == NULL || q.value + q.value_len <= data + size);
}

static void fuzz_users(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    size_t spec = strcspn(text, "\n");
    char *rest = text + spec + (text[spec] == '\n' ? 1 : 0);
    char name[64];
    text[spec] = '\0';
    struct user_files files = {.passwd = rest, .group = rest};
    struct user user;
    if (user_find(&files, text, &user)) {
        require(user.home[0] == '/' && user.shell[0] == '/' && user.group_count <= MAX_GROUPS);
        user_name_of(&files, user.uid, name, sizeof name);
        group_name_of(&files, user.gid, name, sizeof name);
    }
    free(text);
}

// Against a plain model: the ring has to give back what was put in, byte for byte, with its stream.
static void fuzz_ring(const uint8_t *data, size_t size) {
    static uint8_t model[1 << 20];
    static uint8_t streams[1 << 20];
    uint8_t piece[512];
    struct ring r;
    uint64_t floor = 0;
    require(ring_init(&r, 4096));
    for (size_t i = 0; i + 2 < size && r.end + sizeof piece < sizeof model; i += 3) {
        uint8_t stream = (uint8_t)(1 + data[i] % 3);
        size_t n = (size_t)data[i + 1] * 2 + 1;
        floor = (data[i] & 16) != 0 ? r.oldest + (r.end - r.oldest) * data[i + 2] / 255 : floor;
        floor = floor < r.oldest ? r.oldest : floor;
        size_t room = ring_room(&r, stream, (data[i] & 32) != 0 ? floor : r.end);
        n = n < room ? n : room;
        memset(piece, data[i + 2], sizeof piece);
        memcpy(model + r.end, piece, n);
        memset(streams + r.end, stream, n);
        ring_append(&r, stream, piece, n);
        require(r.end - r.oldest <= r.cap && ((data[i] & 32) == 0 || r.oldest <= floor));
    }
    for (uint64_t seq = r.oldest; seq < r.end;) {
        uint8_t stream;
        size_t n = ring_read(&r, seq, piece, sizeof piece, &stream);
        require(n > 0 && memcmp(piece, model + seq, n) == 0);
        require(streams[seq] == stream && streams[seq + n - 1] == stream);
        seq += n;
    }
    ring_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    // A copy of the exact size: reading one byte too far is seen.
    uint8_t *copy = malloc(size - 1 + (size == 1));
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        fuzz_frames(copy, size - 1);
        break;
    case 1:
        fuzz_request(copy, size - 1);
        break;
    case 2:
        fuzz_users(copy, size - 1);
        break;
    default:
        fuzz_ring(copy, size - 1);
    }
    free(copy);
    return 0;
}
