// File operations: the helper's frame, from becoming the user to the last byte sent.
#include "files.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define FLUSH_AT (32u * 1024u)
#define LINGER_MS 2000

static void (*const operations[])(struct files_context *) = {
    [OP_STAT] = files_stat,
    [OP_LIST_DIR] = files_list,
    [OP_READ] = files_read,
    [OP_WRITE] = files_write,
    [OP_MKDIR] = files_mkdir,
    [OP_RENAME] = files_rename,
    [OP_REMOVE] = files_remove,
    [OP_CHMOD] = files_chmod,
    [OP_CHOWN] = files_chown,
    [OP_SYMLINK] = files_symlink,
    [OP_READLINK] = files_readlink,
    [OP_XATTR_GET] = files_xattr_get,
    [OP_XATTR_SET] = files_xattr_set,
    [OP_XATTR_LIST] = files_xattr_list,
    [OP_XATTR_REMOVE] = files_xattr_remove,
    [OP_WATCH] = files_watch,
    [OP_READ_RAW] = files_read_raw,
};

void files_flush(struct files_context *ctx) {
    if (ctx->out.failed) {
        _exit(1);
    }
    while (buf_size(&ctx->out) > 0) {
        ssize_t n = send(ctx->fd, buf_front(&ctx->out), buf_size(&ctx->out), MSG_NOSIGNAL);
        if (n > 0) {
            buf_drop(&ctx->out, (size_t)n);
        } else if (n < 0 && errno != EINTR) {
            _exit(1);
        }
    }
}

void files_flush_when_large(struct files_context *ctx) {
    if (buf_size(&ctx->out) >= FLUSH_AT) {
        files_flush(ctx);
    }
}

// A host that is still sending would meet a reset and might never read the error: its bytes are taken
// and thrown away for a while.
static void drain_input(struct files_context *ctx) {
    struct pollfd p = {.fd = ctx->fd, .events = POLLIN};
    int64_t end = now_ms() + LINGER_MS;
    shutdown(ctx->fd, SHUT_WR);
    for (int64_t now = now_ms(); now < end; now = now_ms()) {
        if (poll(&p, 1, (int)(end - now)) <= 0 || recv(ctx->fd, scratch, sizeof scratch, 0) <= 0) {
            return;
        }
    }
}

_Noreturn void files_fail(struct files_context *ctx, uint16_t code, int err, const char *message) {
    frame_error(&ctx->out, code, err, message);
    files_flush(ctx);
    if (ctx->request->op == OP_WRITE) {
        drain_input(ctx);
    }
    _exit(0);
}

_Noreturn void files_fail_errno(struct files_context *ctx, const char *what) {
    int err = errno;
    char message[256];
    snprintf(message, sizeof message, "%s: %s", what, strerror(err));
    files_fail(ctx, code_of_errno(err), err, message);
}

bool files_receive(struct files_context *ctx, struct frame *f) {
    for (;;) {
        enum frame_status status = frame_parse(buf_front(&ctx->in), buf_size(&ctx->in), false, f);
        if (status == FRAME_WHOLE) {
            return true;
        }
        if (status == FRAME_BAD) {
            files_fail(ctx, E_PROTOCOL, 0, "unexpected or malformed frame");
        }
        if (status == FRAME_TOO_LONG) {
            files_fail(ctx, E_LIMIT, 0, "frame too long");
        }
        ssize_t n = recv(ctx->fd, scratch, sizeof scratch, 0);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
        buf_put(&ctx->in, scratch, n > 0 ? (size_t)n : 0);
        if (ctx->in.failed) {
            files_fail(ctx, E_NO_MEMORY, ENOMEM, "out of memory");
        }
    }
}

// Relative paths start at the user's home.
static void absolute(struct files_context *ctx, const char *path, char *to) {
    if (path[0] == '\0') {
        files_fail(ctx, E_INVALID, 0, "empty path");
    }
    bool rooted = path[0] == '/';
    const char *home = strcmp(ctx->user.home, "/") == 0 ? "" : ctx->user.home;
    snprintf(to, MAX_FULL_PATH, "%s%s%s", rooted ? "" : home, rooted ? "" : "/", path);
}

void files_serve(struct files_context *ctx) {
    const struct request *q = ctx->request;
    user_files_load(&ctx->names);
    if (!user_find(&ctx->names, q->user, &ctx->user)) {
        files_fail(ctx, E_NO_SUCH_USER, 0, "no such user or group");
    }
    int err = become_user(&ctx->user);
    if (err != 0) {
        errno = err;
        if (err == EINVAL) {
            files_fail(ctx, E_NO_SUCH_USER, err, "the sandbox has no such uid or gid");
        }
        files_fail(ctx, code_of_errno(err), err, "change of user");
    }
    if (chdir("/") != 0) {
        files_fail_errno(ctx, "/");
    }
    absolute(ctx, q->path, ctx->path);
    if (q->op == OP_RENAME) {
        absolute(ctx, q->to, ctx->to);
    }
    operations[q->op](ctx);
    files_flush(ctx);
}
