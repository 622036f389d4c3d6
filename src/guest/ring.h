// The newest output of one process: bytes of several streams in the order read, at absolute positions.
#ifndef RAMET_RING_H
#define RAMET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Kept bytes are those from `oldest` to `end`. A tag starts each run of one stream: start << 2 | stream.
struct ring {
    uint8_t *data;
    uint64_t *tags;
    uint32_t cap, tag_cap;
    uint32_t tag_first, tag_count;
    uint64_t oldest, end;
};

// cap is a power of two. Memory is mapped and becomes resident only as far as it is used.
bool ring_init(struct ring *r, uint32_t cap);
void ring_free(struct ring *r);
// Bytes of `stream` that can be added while everything from `floor` on stays.
size_t ring_room(const struct ring *r, uint8_t stream, uint64_t floor);
// n is at most cap; the oldest bytes go.
void ring_append(struct ring *r, uint8_t stream, const uint8_t *data, size_t n);
// Copies at most n bytes of one stream from seq (oldest <= seq < end) and tells the stream.
size_t ring_read(const struct ring *r, uint64_t seq, uint8_t *to, size_t n, uint8_t *stream);

#endif
