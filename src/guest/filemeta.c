// File operations that touch names and attributes but no content.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"

#define RENAME_NOREPLACE_BIT 1u

void files_stat(struct files_context *ctx) {
    reply_entry(ctx, NULL, ctx->path, (ctx->request->flags & FLAG_NOFOLLOW) == 0);
}

// mkdir also answers for what is no directory: only a directory counts as already made.
static bool make_one(const char *path) {
    struct stat st;
    if (mkdir(path, 0777) == 0) {
        return true;
    }
    int err = errno;
    if (stat(path, &st) == 0) {
        errno = ENOTDIR;
        return S_ISDIR(st.st_mode);
    }
    errno = err;
    return false;
}

bool make_parents(const char *path) {
    char part[MAX_FULL_PATH];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (slash[-1] != '\0' && !make_one(part)) {
            return false;
        }
        *slash = '/';
    }
    return true;
}

static bool existing_directory(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void files_mkdir(struct files_context *ctx) {
    const struct request *q = ctx->request;
    bool parents = (q->flags & FLAG_PARENTS) != 0;
    mode_t mode = q->mode != 0 ? q->mode : 0777;
    // Else make_parents would take the last component for a parent.
    for (size_t n = strlen(ctx->path); n > 1 && ctx->path[n - 1] == '/'; n--) {
        ctx->path[n - 1] = '\0';
    }
    if (parents && !make_parents(ctx->path)) {
        files_fail_errno(ctx, "mkdir");
    }
    bool created = mkdir(ctx->path, mode) == 0;
    int err = errno;
    if (!created && !(parents && err == EEXIST && existing_directory(ctx->path))) {
        errno = err;
        files_fail_errno(ctx, "mkdir");
    }
    struct buf before = {0};
    put_u8(&before, created);
    reply_entry(ctx, &before, ctx->path, true);
    buf_free(&before);
}

void files_rename(struct files_context *ctx) {
    uint32_t flags = ctx->request->flags;
    unsigned how = (flags & RENAME_FLAG_NOREPLACE) != 0 ? RENAME_NOREPLACE_BIT : 0;
    if ((flags & RENAME_FLAG_PARENTS) != 0 && !make_parents(ctx->to)) {
        files_fail_errno(ctx, "rename");
    }
    if (syscall(SYS_renameat2, AT_FDCWD, ctx->path, AT_FDCWD, ctx->to, how) != 0) {
        files_fail_errno(ctx, "rename");
    }
    reply_entry(ctx, NULL, ctx->to, false);
}

void files_chmod(struct files_context *ctx) {
    if (chmod(ctx->path, ctx->request->mode) != 0) {
        files_fail_errno(ctx, "chmod");
    }
    reply_entry(ctx, NULL, ctx->path, true);
}

void files_chown(struct files_context *ctx) {
    const struct request *q = ctx->request;
    bool follow = (q->flags & FLAG_NOFOLLOW) == 0;
    int how = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    if (fchownat(AT_FDCWD, ctx->path, q->uid, q->gid, how) != 0) {
        files_fail_errno(ctx, "chown");
    }
    reply_entry(ctx, NULL, ctx->path, follow);
}

void files_symlink(struct files_context *ctx) {
    if (symlink(ctx->request->to, ctx->path) != 0) {
        files_fail_errno(ctx, "symlink");
    }
    reply_entry(ctx, NULL, ctx->path, false);
}

void files_readlink(struct files_context *ctx) {
    char target[PATH_MAX];
    ssize_t n = readlink(ctx->path, target, sizeof target);
    if (n < 0) {
        files_fail_errno(ctx, "readlink");
    }
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    put_bytes(&ctx->out, target, (size_t)n);
    frame_end(&ctx->out, mark);
}
