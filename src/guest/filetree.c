// Listing and removing trees: by directory descriptors, so that renamed parents and links lead nowhere else.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define DEFAULT_MAX 100000u
#define MAX_REMOVE_DEPTH 512

struct listing {
    struct files_context *ctx;
    uint32_t count, skipped, max;
    bool truncated;
    char path[4 * MAX_FULL_PATH];
};

static bool is_dot(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static DIR *open_below(int dir, const char *name, int extra) {
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | extra);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL && fd >= 0) {
        close(fd);
    }
    return d;
}

static void list_directory(struct listing *l, DIR *d, size_t path_len, uint32_t depth);

static void list_entry(struct listing *l, DIR *d, const char *name, size_t path_len, uint32_t depth) {
    struct entry e = {.dir = dirfd(d), .name = name, .path = l->path};
    size_t n = strlen(name);
    if (path_len + n + 2 > sizeof l->path) {
        l->skipped++;
        return;
    }
    if (fstatat(e.dir, name, &e.st, AT_SYMLINK_NOFOLLOW) != 0) {
        return;
    }
    l->path[path_len] = '/';
    memcpy(l->path + path_len + 1, name, n + 1);
    size_t mark = frame_begin(&l->ctx->out, FRAME_ENTRY);
    put_entry(l->ctx, &e);
    frame_end(&l->ctx->out, mark);
    files_flush_when_large(l->ctx);
    l->count++;
    if (S_ISDIR(e.st.st_mode) && depth > 1) {
        DIR *below = open_below(e.dir, name, O_NOFOLLOW);
        if (below == NULL) {
            l->skipped++;
            return;
        }
        list_directory(l, below, path_len + n + 1, depth - 1);
    }
}

static void list_directory(struct listing *l, DIR *d, size_t path_len, uint32_t depth) {
    const struct dirent *entry;
    while (!l->truncated && (entry = readdir(d)) != NULL) {
        if (is_dot(entry->d_name)) {
            continue;
        }
        if (l->count == l->max) {
            l->truncated = true;
        } else {
            list_entry(l, d, entry->d_name, path_len, depth);
        }
    }
    closedir(d);
}

void files_list(struct files_context *ctx) {
    const struct request *q = ctx->request;
    static struct listing l;
    DIR *d = open_below(AT_FDCWD, ctx->path, 0);
    if (d == NULL) {
        files_fail_errno(ctx, "list");
    }
    l = (struct listing){.ctx = ctx, .max = q->max != 0 ? q->max : DEFAULT_MAX};
    size_t n = strlen(ctx->path);
    while (n > 0 && ctx->path[n - 1] == '/') {
        n--;
    }
    memcpy(l.path, ctx->path, n);
    frame_empty(&ctx->out, FRAME_OK);
    list_directory(&l, d, n, q->depth != 0 ? q->depth : 1);
    size_t mark = frame_begin(&ctx->out, FRAME_END);
    put_u32(&ctx->out, l.count);
    put_u32(&ctx->out, l.skipped);
    put_u8(&ctx->out, l.truncated);
    frame_end(&ctx->out, mark);
}

static bool remove_below(int dir, const char *name, int depth, uint64_t *removed);

static bool empty_directory(DIR *d, int depth, uint64_t *removed) {
    const struct dirent *entry;
    bool whole = true;
    while (whole && (entry = readdir(d)) != NULL) {
        whole = is_dot(entry->d_name) || remove_below(dirfd(d), entry->d_name, depth, removed);
    }
    int err = errno;
    closedir(d);
    errno = err;
    return whole;
}

// Something that somebody else has just removed is as good as removed here.
static bool unlink_counted(int dir, const char *name, int flags, uint64_t *removed) {
    bool gone = unlinkat(dir, name, flags) == 0;
    *removed += gone ? 1 : 0;
    return gone || errno == ENOENT;
}

static bool remove_below(int dir, const char *name, int depth, uint64_t *removed) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT;
    }
    if (!S_ISDIR(st.st_mode)) {
        return unlink_counted(dir, name, 0, removed);
    }
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0) {
        *removed += 1;
        return true;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) {
        return false;
    }
    if (depth >= MAX_REMOVE_DEPTH) {
        errno = ENAMETOOLONG;
        return false;
    }
    DIR *d = open_below(dir, name, O_NOFOLLOW);
    return d != NULL && empty_directory(d, depth + 1, removed)
        && unlink_counted(dir, name, AT_REMOVEDIR, removed);
}

void files_remove(struct files_context *ctx) {
    uint32_t flags = ctx->request->flags;
    uint64_t removed = 0;
    struct stat st;
    bool there = lstat(ctx->path, &st) == 0;
    if (!there && !(errno == ENOENT && (flags & FLAG_MISSING_OK) != 0)) {
        files_fail_errno(ctx, "remove");
    }
    bool done = !there;
    if (there && (flags & FLAG_RECURSIVE) != 0) {
        done = remove_below(AT_FDCWD, ctx->path, 0, &removed);
    } else if (there) {
        done = unlinkat(AT_FDCWD, ctx->path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0;
        removed = 1;
    }
    if (!done) {
        files_fail_errno(ctx, "remove");
    }
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    put_u64(&ctx->out, removed);
    frame_end(&ctx->out, mark);
}
