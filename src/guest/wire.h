// Wire format: growable buffers, field readers and writers, frame headers. Pure; no I/O.
#ifndef RAMET_WIRE_H
#define RAMET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER 8u
#define MAX_REQUEST (1024u * 1024u)
#define MAX_FRAME (64u * 1024u)
#define PROTOCOL_VERSION 1u

enum frame_type {
    FRAME_REQUEST = 0x01,
    FRAME_STDIN = 0x02,
    FRAME_STDIN_EOF = 0x03,
    FRAME_WRITE_DATA = 0x04,
    FRAME_WRITE_END = 0x05,
    FRAME_OK = 0x81,
    FRAME_ERROR = 0x82,
    FRAME_OUTPUT = 0x83,
    FRAME_EXIT = 0x84,
    FRAME_DATA = 0x85,
    FRAME_END = 0x86,
    FRAME_ENTRY = 0x87,
    FRAME_EVENT = 0x88,
    FRAME_PROCESS = 0x89,
};

// A queue of bytes: appended at len, taken from head. `failed` is set for good once memory ran out.
struct buf {
    uint8_t *data;
    size_t head, len, cap;
    bool failed;
};

size_t buf_size(const struct buf *b);
uint8_t *buf_front(struct buf *b);
// Makes room for n more bytes and returns where they go, or NULL without memory.
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *data, size_t n);
void buf_drop(struct buf *b, size_t n);
void buf_free(struct buf *b);

void put_u8(struct buf *b, uint8_t v);
void put_u16(struct buf *b, uint16_t v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_bytes(struct buf *b, const void *data, size_t n);
void put_str(struct buf *b, const char *s);

// frame_begin writes a header whose length frame_end fills in; pass its result on.
size_t frame_begin(struct buf *b, enum frame_type type);
void frame_end(struct buf *b, size_t mark);
void frame_empty(struct buf *b, enum frame_type type);
void frame_error(struct buf *b, uint16_t code, int err, const char *message);

// A cursor over a payload. `bad` is set once a field did not fit; later reads then give zeros.
struct rd {
    uint8_t *p;
    size_t left;
    bool bad;
    bool has_nul;
};

// Strings made C strings in place: the next one starts 4 bytes behind the NUL's place (see list_next).
struct list {
    char *first;
    uint32_t count;
};

uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
uint8_t *rd_bytes(struct rd *r, uint32_t *len);
// Moves the string onto its own length prefix and terminates it there.
char *rd_str(struct rd *r);
struct list rd_list(struct rd *r);
char *list_next(char *s);

enum frame_status { FRAME_MORE, FRAME_WHOLE, FRAME_BAD, FRAME_TOO_LONG };

struct frame {
    uint8_t type;
    uint32_t len;
    uint8_t *payload;
};

// Looks at the start of n received bytes. `first` allows the one REQUEST of a connection.
enum frame_status frame_parse(uint8_t *data, size_t n, bool first, struct frame *out);

#endif
