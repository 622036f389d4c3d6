// Extended attributes.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "files.h"

#define MAX_VALUE 65536u

static bool nofollow(const struct files_context *ctx) {
    return (ctx->request->flags & FLAG_NOFOLLOW) != 0;
}

static char *room(struct files_context *ctx) {
    char *p = malloc(MAX_VALUE);
    if (p == NULL) {
        files_fail(ctx, E_NO_MEMORY, ENOMEM, "out of memory");
    }
    return p;
}

void files_xattr_get(struct files_context *ctx) {
    const char *name = ctx->request->name;
    char *value = room(ctx);
    ssize_t n = nofollow(ctx) ? lgetxattr(ctx->path, name, value, MAX_VALUE)
                              : getxattr(ctx->path, name, value, MAX_VALUE);
    if (n < 0) {
        files_fail_errno(ctx, "xattr");
    }
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    put_bytes(&ctx->out, value, (size_t)n);
    frame_end(&ctx->out, mark);
    free(value);
}

void files_xattr_set(struct files_context *ctx) {
    const struct request *q = ctx->request;
    int how = (q->flags & XATTR_FLAG_CREATE) != 0 ? XATTR_CREATE : 0;
    how |= (q->flags & XATTR_FLAG_REPLACE) != 0 ? XATTR_REPLACE : 0;
    int result = nofollow(ctx) ? lsetxattr(ctx->path, q->name, q->value, q->value_len, how)
                               : setxattr(ctx->path, q->name, q->value, q->value_len, how);
    if (result != 0) {
        files_fail_errno(ctx, "xattr");
    }
    frame_empty(&ctx->out, FRAME_OK);
}

void files_xattr_list(struct files_context *ctx) {
    char *names = room(ctx);
    ssize_t n = nofollow(ctx) ? llistxattr(ctx->path, names, MAX_VALUE)
                              : listxattr(ctx->path, names, MAX_VALUE);
    if (n < 0) {
        files_fail_errno(ctx, "xattr");
    }
    uint32_t count = 0;
    for (const char *p = names; p < names + n; p += strlen(p) + 1) {
        count++;
    }
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    put_u32(&ctx->out, count);
    for (const char *p = names; p < names + n; p += strlen(p) + 1) {
        put_str(&ctx->out, p);
    }
    frame_end(&ctx->out, mark);
    free(names);
}

void files_xattr_remove(struct files_context *ctx) {
    const char *name = ctx->request->name;
    int result = nofollow(ctx) ? lremovexattr(ctx->path, name) : removexattr(ctx->path, name);
    if (result != 0) {
        files_fail_errno(ctx, "xattr");
    }
    frame_empty(&ctx->out, FRAME_OK);
}
