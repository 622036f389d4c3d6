// Decodes requests by a table of fields for each operation; bounds and flags are checked on the way.
#include "request.h"

#include <stdio.h>
#include <string.h>

#include "errors.h"

#define MAX_PATH 4095u
#define ANY UINT64_MAX

enum field_type { T_U8, T_U16, T_U32, T_I32, T_U64, T_FLAGS, T_STR, T_PATH, T_LIST, T_BYTES };

// max: largest value, mask of known flags, or greatest length or count, by type.
struct field {
    enum field_type type;
    size_t offset;
    uint64_t max;
    const char *name;
};

#define F(type, member, max) {type, offsetof(struct request, member), max, #member}
#define FIELDS(...) (const struct field[]){__VA_ARGS__, {T_U8, 0, 0, NULL}}
#define TARGET F(T_U32, pid, INT32_MAX), F(T_STR, tag, 256)
#define FILE_OF F(T_STR, user, 256), F(T_PATH, path, MAX_PATH)

static const struct operation_fields {
    enum operation op;
    const struct field *fields;
} operations[] = {
    {OP_INFO, NULL},
    {OP_SPAWN, FIELDS(F(T_FLAGS, flags, 31), F(T_U16, rows, 4096), F(T_U16, cols, 4096),
                      F(T_U32, ring, 1048576), F(T_STR, user, 256), F(T_PATH, cwd, MAX_PATH),
                      F(T_STR, tag, 256), F(T_LIST, argv, 65536), F(T_LIST, env, 4096))},
    {OP_ATTACH, FIELDS(TARGET, F(T_FLAGS, flags, 3), F(T_U8, from, 2), F(T_U64, seq, ANY))},
    {OP_STDIN, FIELDS(TARGET, F(T_U8, eof, 1), F(T_BYTES, value, 262144))},
    {OP_SIGNAL, FIELDS(TARGET, F(T_I32, signo, 64), F(T_U8, group, 1))},
    {OP_RESIZE, FIELDS(TARGET, F(T_U16, rows, 4096), F(T_U16, cols, 4096))},
    {OP_LIST, NULL},
    {OP_WAIT, FIELDS(TARGET)},
    {OP_FORGET, FIELDS(TARGET)},
    {OP_DIAL, FIELDS(F(T_U8, kind, 1), F(T_U16, port, 65535), F(T_STR, address, 107),
                     F(T_U32, millis, 60000))},
    {OP_QUIESCE, FIELDS(F(T_U32, millis, 60000))},
    {OP_RELEASE, NULL},
    {OP_IDENTITY, FIELDS(F(T_STR, hostname, 63), F(T_STR, machine_id, 32), F(T_U64, generation, ANY),
                         F(T_U8, env_mode, 1), F(T_LIST, env, 4096))},
    {OP_USAGE, NULL},
    {OP_SHUTDOWN, FIELDS(F(T_U32, millis, 60000))},
    {OP_USER, FIELDS(F(T_STR, user, 256))},
    {OP_ENVIRONMENT, FIELDS(F(T_STR, user, 256))},
    {OP_STAT, FIELDS(FILE_OF, F(T_FLAGS, flags, 1))},
    {OP_LIST_DIR, FIELDS(FILE_OF, F(T_U32, depth, 64), F(T_U32, max, 100000))},
    {OP_READ, FIELDS(FILE_OF, F(T_U64, offset, INT64_MAX), F(T_U64, length, ANY))},
    {OP_WRITE, FIELDS(FILE_OF, F(T_FLAGS, flags, 127), F(T_U32, mode, 07777),
                      F(T_U64, offset, INT64_MAX))},
    {OP_MKDIR, FIELDS(FILE_OF, F(T_FLAGS, flags, 1), F(T_U32, mode, 07777))},
    {OP_RENAME, FIELDS(FILE_OF, F(T_PATH, to, MAX_PATH), F(T_FLAGS, flags, 3))},
    {OP_REMOVE, FIELDS(FILE_OF, F(T_FLAGS, flags, 3))},
    {OP_CHMOD, FIELDS(FILE_OF, F(T_U32, mode, 07777))},
    {OP_CHOWN, FIELDS(FILE_OF, F(T_U32, uid, ANY), F(T_U32, gid, ANY), F(T_FLAGS, flags, 1))},
    {OP_SYMLINK, FIELDS(FILE_OF, F(T_PATH, to, MAX_PATH))},
    {OP_READLINK, FIELDS(FILE_OF)},
    {OP_XATTR_GET, FIELDS(FILE_OF, F(T_STR, name, 255), F(T_FLAGS, flags, 1))},
    {OP_XATTR_SET, FIELDS(FILE_OF, F(T_STR, name, 255), F(T_BYTES, value, 65536),
                          F(T_FLAGS, flags, 7))},
    {OP_XATTR_LIST, FIELDS(FILE_OF, F(T_FLAGS, flags, 1))},
    {OP_XATTR_REMOVE, FIELDS(FILE_OF, F(T_STR, name, 255), F(T_FLAGS, flags, 1))},
    {OP_WATCH, FIELDS(FILE_OF, F(T_FLAGS, flags, 1))},
    {OP_READ_RAW, FIELDS(FILE_OF, F(T_U64, offset, INT64_MAX), F(T_U64, length, ANY))},
};

static bool fail(struct request_error *e, enum error_code code, const char *what, const char *name) {
    e->code = (uint16_t)code;
    snprintf(e->message, sizeof e->message, "%s: %s", what, name);
    return false;
}

static uint64_t read_number(struct rd *r, enum field_type type, void *to) {
    uint64_t v;
    switch (type) {
    case T_U8:
        v = rd_u8(r);
        *(uint8_t *)to = (uint8_t)v;
        return v;
    case T_U16:
        v = rd_u16(r);
        *(uint16_t *)to = (uint16_t)v;
        return v;
    case T_I32:
        v = rd_u32(r);
        *(int32_t *)to = (int32_t)v;
        return v;
    case T_U64:
        v = rd_u64(r);
        *(uint64_t *)to = v;
        return v;
    default:
        v = rd_u32(r);
        *(uint32_t *)to = (uint32_t)v;
        return v;
    }
}

static bool read_text(struct rd *r, const struct field *f, char **to, struct request_error *e) {
    *to = rd_str(r);
    if (!r->bad && !r->has_nul && strlen(*to) > f->max) {
        return fail(e, f->type == T_PATH ? E_NAME_TOO_LONG : E_LIMIT, "too long", f->name);
    }
    return true;
}

static bool read_field(struct rd *r, const struct field *f, struct request *out,
                       struct request_error *e) {
    void *to = (char *)out + f->offset;
    switch (f->type) {
    case T_STR:
    case T_PATH:
        return read_text(r, f, to, e);
    case T_LIST: {
        struct list l = rd_list(r);
        *(struct list *)to = l;
        return l.count <= f->max || fail(e, E_LIMIT, "too many strings", f->name);
    }
    case T_BYTES:
        out->value = rd_bytes(r, &out->value_len);
        return out->value_len <= f->max || fail(e, E_LIMIT, "too long", f->name);
    case T_FLAGS:
        return (read_number(r, f->type, to) & ~f->max) == 0
            || fail(e, E_PROTOCOL, "unknown flag", f->name);
    default:
        return read_number(r, f->type, to) <= f->max
            || fail(e, E_INVALID, "value out of range", f->name);
    }
}

static const struct operation_fields *find_operation(uint16_t op) {
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (operations[i].op == op) {
            return &operations[i];
        }
    }
    return NULL;
}

bool request_decode(uint8_t *payload, uint32_t len, struct request *out,
                    struct request_error *error) {
    struct rd r = {.p = payload, .left = len};
    *out = (struct request){0};
    uint16_t version = rd_u16(&r);
    out->op = rd_u16(&r);
    if (r.bad) {
        return fail(error, E_PROTOCOL, "request cut short", "version and operation");
    }
    if (version != PROTOCOL_VERSION) {
        return fail(error, E_VERSION, "unsupported protocol version", "this guest speaks 1");
    }
    const struct operation_fields *operation = find_operation(out->op);
    if (operation == NULL) {
        return fail(error, E_UNSUPPORTED, "unknown operation", "not in version 1");
    }
    for (const struct field *f = operation->fields; f != NULL && f->name != NULL; f++) {
        if (!read_field(&r, f, out, error)) {
            return false;
        }
        if (r.bad) {
            return fail(error, E_PROTOCOL, "request cut short", f->name);
        }
        if (r.has_nul) {
            return fail(error, E_INVALID, "NUL byte in a string", f->name);
        }
    }
    return r.left == 0 || fail(error, E_PROTOCOL, "bytes left over", "end of request");
}
