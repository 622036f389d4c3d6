// Reading and writing file content. Nothing but regular files is opened for it: a FIFO could block for ever.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "files.h"
#include "guest.h"

struct target {
    int fd;
    // Where the bytes end up; temporary is empty unless the write is atomic.
    char path[MAX_FULL_PATH];
    char temporary[MAX_FULL_PATH + 64];
    uint64_t offset, written;
};

static void require_regular(struct files_context *ctx, const struct stat *st) {
    if (S_ISDIR(st->st_mode)) {
        files_fail(ctx, E_IS_DIRECTORY, EISDIR, "is a directory");
    }
    if (!S_ISREG(st->st_mode)) {
        files_fail(ctx, E_NOT_REGULAR, 0, "not a regular file");
    }
}

int open_regular(struct files_context *ctx, const char *path, int flags, mode_t mode) {
    struct stat st;
    if (stat(path, &st) == 0) {
        require_regular(ctx, &st);
    }
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
    if (fd < 0 || fstat(fd, &st) != 0) {
        files_fail_errno(ctx, "open");
    }
    require_regular(ctx, &st);
    return fd;
}

static void send_content(struct files_context *ctx, int fd) {
    uint64_t left = ctx->request->length;
    uint64_t offset = ctx->request->offset;
    uint64_t sent = 0;
    while (left > 0) {
        ssize_t n = pread(fd, scratch, left < MAX_FRAME ? left : MAX_FRAME, (off_t)(offset + sent));
        if (n < 0) {
            files_fail_errno(ctx, "read");
        }
        if (n == 0) {
            break;
        }
        size_t mark = frame_begin(&ctx->out, FRAME_DATA);
        buf_put(&ctx->out, scratch, (size_t)n);
        frame_end(&ctx->out, mark);
        files_flush(ctx);
        sent += (uint64_t)n;
        left -= (uint64_t)n;
    }
    size_t mark = frame_begin(&ctx->out, FRAME_END);
    put_u64(&ctx->out, sent);
    frame_end(&ctx->out, mark);
}

void files_read(struct files_context *ctx) {
    struct entry e = {.dir = AT_FDCWD, .name = ctx->path, .path = ctx->path};
    int fd = open_regular(ctx, ctx->path, O_RDONLY, 0);
    if (fstat(fd, &e.st) != 0) {
        files_fail_errno(ctx, "read");
    }
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    put_entry(ctx, &e);
    frame_end(&ctx->out, mark);
    send_content(ctx, fd);
}

// What a quiesce in the middle of an atomic write would leave.
static const char *unfinished;

static _Noreturn void remove_unfinished(int signal) {
    (void)signal;
    unlink(unfinished);
    _exit(1);
}

static int create_temporary(const struct target *t, mode_t mode) {
    sigset_t cut;
    sigemptyset(&cut);
    sigaddset(&cut, HELPER_CUT);
    sigprocmask(SIG_BLOCK, &cut, NULL);
    int fd = open(t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    int err = errno;
    if (fd >= 0) {
        unfinished = t->temporary;
        signal(HELPER_CUT, remove_unfinished);
    }
    sigprocmask(SIG_UNBLOCK, &cut, NULL);
    errno = err;
    return fd;
}

static _Noreturn void fail_write(struct files_context *ctx, struct target *t, const char *what) {
    int err = errno;
    if (t->temporary[0] != '\0') {
        unlink(t->temporary);
    }
    errno = err;
    files_fail_errno(ctx, what);
}

// A link to an existing file is followed, so that the file is replaced and not the link.
static bool resolve(struct files_context *ctx, struct target *t, struct stat *st) {
    char real[PATH_MAX];
    strcpy(t->path, ctx->path);
    if (stat(ctx->path, st) != 0) {
        return false;
    }
    require_regular(ctx, st);
    if (realpath(ctx->path, real) != NULL) {
        strcpy(t->path, real);
    }
    return true;
}

static void name_temporary(struct target *t) {
    uint64_t number = 0;
    const char *slash = strrchr(t->path, '/');
    int dir = (int)(slash - t->path) + 1;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0) {
        number = (uint64_t)now_ms();
    }
    snprintf(t->temporary, sizeof t->temporary, "%.*s.%.40s.%016llx", dir, t->path, slash + 1,
             (unsigned long long)number);
}

static void open_temporary(struct files_context *ctx, struct target *t, mode_t mode) {
    struct stat old;
    bool exists = resolve(ctx, t, &old);
    if (exists && (ctx->request->flags & WRITE_EXCLUSIVE) != 0) {
        files_fail(ctx, E_EXISTS, EEXIST, "open: exists");
    }
    name_temporary(t);
    t->fd = create_temporary(t, mode);
    if (t->fd < 0) {
        t->temporary[0] = '\0';
        files_fail_errno(ctx, "open");
    }
    if (!exists) {
        return;
    }
    // Only root may give files away; for others the new file is their own.
    if (geteuid() == 0 && fchown(t->fd, old.st_uid, old.st_gid) != 0) {
        fail_write(ctx, t, "chown");
    }
    if (fchmod(t->fd, old.st_mode & 07777) != 0) {
        fail_write(ctx, t, "chmod");
    }
}

static void open_in_place(struct files_context *ctx, struct target *t, mode_t mode) {
    uint32_t flags = ctx->request->flags;
    int how = O_WRONLY;
    how |= (flags & (WRITE_CREATE | WRITE_EXCLUSIVE)) != 0 ? O_CREAT : 0;
    how |= (flags & WRITE_EXCLUSIVE) != 0 ? O_EXCL : 0;
    how |= (flags & WRITE_TRUNCATE) != 0 ? O_TRUNC : 0;
    how |= (flags & WRITE_APPEND) != 0 ? O_APPEND : 0;
    strcpy(t->path, ctx->path);
    t->fd = open_regular(ctx, ctx->path, how, mode);
    t->offset = ctx->request->offset;
}

static void open_target(struct files_context *ctx, struct target *t) {
    const struct request *q = ctx->request;
    mode_t mode = q->mode != 0 ? q->mode : 0666;
    bool atomic = (q->flags & WRITE_ATOMIC) != 0;
    bool append = (q->flags & WRITE_APPEND) != 0;
    if ((atomic || append) && (q->offset != 0 || (atomic && append))) {
        files_fail(ctx, E_INVALID, 0, "write: flags and offset exclude each other");
    }
    if (ctx->path[strlen(ctx->path) - 1] == '/') {
        files_fail(ctx, E_IS_DIRECTORY, EISDIR, "path ends in a slash");
    }
    if ((q->flags & WRITE_PARENTS) != 0 && !make_parents(ctx->path)) {
        files_fail_errno(ctx, "mkdir");
    }
    if (atomic) {
        open_temporary(ctx, t, mode);
    } else {
        open_in_place(ctx, t, mode);
    }
}

static void write_all(struct files_context *ctx, struct target *t, const uint8_t *data, size_t n) {
    while (n > 0) {
        ssize_t done = pwrite(t->fd, data, n, (off_t)(t->offset + t->written));
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            fail_write(ctx, t, "write");
        }
        data += done;
        n -= (size_t)done;
        t->written += (uint64_t)done;
    }
}

static void finish(struct files_context *ctx, struct target *t) {
    struct entry e = {.dir = AT_FDCWD, .name = t->path, .path = ctx->path};
    bool synced = (ctx->request->flags & WRITE_SYNC) == 0 || fsync(t->fd) == 0;
    if (!synced || fstat(t->fd, &e.st) != 0) {
        fail_write(ctx, t, "write");
    }
    if (close(t->fd) != 0) {
        fail_write(ctx, t, "close");
    }
    if (t->temporary[0] != '\0' && rename(t->temporary, t->path) != 0) {
        fail_write(ctx, t, "rename");
    }
    size_t mark = frame_begin(&ctx->out, FRAME_END);
    put_u64(&ctx->out, t->written);
    put_entry(ctx, &e);
    frame_end(&ctx->out, mark);
}

void files_write(struct files_context *ctx) {
    static struct target t;
    struct frame f;
    open_target(ctx, &t);
    frame_empty(&ctx->out, FRAME_OK);
    files_flush(ctx);
    while (files_receive(ctx, &f)) {
        if (f.type == FRAME_WRITE_END && f.len == 0) {
            finish(ctx, &t);
            return;
        }
        if (f.type != FRAME_WRITE_DATA) {
            unlink(t.temporary);
            files_fail(ctx, E_PROTOCOL, 0, "unexpected frame");
        }
        write_all(ctx, &t, f.payload, f.len);
        buf_drop(&ctx->in, FRAME_HEADER + f.len);
    }
    // Cut off before its end: an atomic write leaves no trace.
    if (t.temporary[0] != '\0') {
        unlink(t.temporary);
    }
}
