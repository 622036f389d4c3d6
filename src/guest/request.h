// Requests: one flat record for all operations, filled by a table-driven decoder. Pure.
#ifndef RAMET_REQUEST_H
#define RAMET_REQUEST_H

#include "wire.h"

enum operation {
    OP_INFO = 1,
    OP_SPAWN = 2,
    OP_ATTACH = 3,
    OP_STDIN = 4,
    OP_SIGNAL = 5,
    OP_RESIZE = 6,
    OP_LIST = 7,
    OP_WAIT = 8,
    OP_FORGET = 9,
    OP_DIAL = 10,
    OP_QUIESCE = 11,
    OP_RELEASE = 12,
    OP_IDENTITY = 13,
    OP_USAGE = 14,
    OP_SHUTDOWN = 15,
    OP_USER = 16,
    OP_ENVIRONMENT = 17,
    OP_STAT = 32,
    OP_LIST_DIR = 33,
    OP_READ = 34,
    OP_WRITE = 35,
    OP_MKDIR = 36,
    OP_RENAME = 37,
    OP_REMOVE = 38,
    OP_CHMOD = 39,
    OP_CHOWN = 40,
    OP_SYMLINK = 41,
    OP_READLINK = 42,
    OP_XATTR_GET = 43,
    OP_XATTR_SET = 44,
    OP_XATTR_LIST = 45,
    OP_XATTR_REMOVE = 46,
    OP_WATCH = 47,
    OP_READ_RAW = 48,
};

enum spawn_flags {
    SPAWN_PTY = 1,
    SPAWN_STDIN = 2,
    SPAWN_KILL_ON_CLOSE = 4,
    SPAWN_NO_ATTACH = 8,
    SPAWN_CLEAR_ENV = 16,
};

enum attach_flags { ATTACH_STDIN = 1, ATTACH_KILL_ON_CLOSE = 2 };
enum attach_from { FROM_NOW = 0, FROM_OLDEST = 1, FROM_SEQ = 2 };
enum path_flags { FLAG_NOFOLLOW = 1, FLAG_PARENTS = 1, FLAG_RECURSIVE = 1, FLAG_MISSING_OK = 2 };
enum rename_flags { RENAME_FLAG_NOREPLACE = 1, RENAME_FLAG_PARENTS = 2 };
enum xattr_flags { XATTR_FLAG_CREATE = 2, XATTR_FLAG_REPLACE = 4 };

enum write_flags {
    WRITE_CREATE = 1,
    WRITE_TRUNCATE = 2,
    WRITE_APPEND = 4,
    WRITE_EXCLUSIVE = 8,
    WRITE_ATOMIC = 16,
    WRITE_PARENTS = 32,
    WRITE_SYNC = 64,
};

// Pointers lead into the payload, which has to stay where it is while the request lives.
struct request {
    uint16_t op;
    uint8_t from, eof, group, kind, env_mode;
    uint16_t rows, cols, port;
    uint32_t flags, mode, depth, max, uid, gid, pid, ring, millis;
    int32_t signo;
    uint64_t seq, offset, length, generation;
    char *user, *path, *to, *name, *tag, *cwd, *address, *hostname, *machine_id;
    struct list argv, env;
    uint8_t *value;
    uint32_t value_len;
};

struct request_error {
    uint16_t code;
    char message[96];
};

// Decodes a REQUEST payload in place. False: `error` says what is wrong.
bool request_decode(uint8_t *payload, uint32_t len, struct request *out, struct request_error *error);

#endif
