// Watching a file, a directory or a tree by inotify, until the host closes the connection.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "files.h"

#define MAX_DIRECTORIES 8192u
#define MAX_DEPTH 64
#define EVENTS                                                                                  \
    (IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB | IN_DELETE_SELF \
     | IN_MOVE_SELF)

enum kind { CREATED = 1, WRITTEN, REMOVED, RENAMED, ATTRIBUTES, OVERFLOWED, GONE };

// One watched directory; path is relative to the root, "" for the root itself.
struct watched {
    int wd;
    char *path;
};

struct watcher {
    struct files_context *ctx;
    int fd, root;
    bool recursive;
    struct watched *list;
    size_t count, cap;
};

static void put_event(struct watcher *w, enum kind kind, uint8_t type, uint32_t cookie,
                      const char *name) {
    struct buf *b = &w->ctx->out;
    size_t mark = frame_begin(b, FRAME_EVENT);
    put_u8(b, (uint8_t)kind);
    put_u8(b, type);
    put_u16(b, 0);
    put_u32(b, cookie);
    put_str(b, name);
    frame_end(b, mark);
    files_flush_when_large(w->ctx);
}

static struct watched *find(struct watcher *w, int wd) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i].wd == wd) {
            return &w->list[i];
        }
    }
    return NULL;
}

static bool remember(struct watcher *w, int wd, const char *path) {
    struct watched *known = find(w, wd);
    char *copy = strdup(path);
    if (known == NULL && w->count == w->cap) {
        size_t cap = w->cap == 0 ? 64 : w->cap * 2;
        struct watched *grown = realloc(w->list, cap * sizeof *grown);
        w->list = grown == NULL ? w->list : grown;
        w->cap = grown == NULL ? w->cap : cap;
    }
    if (copy == NULL || (known == NULL && w->count == w->cap)) {
        free(copy);
        errno = ENOMEM;
        return false;
    }
    if (known == NULL) {
        known = &w->list[w->count++];
        known->path = NULL;
    }
    free(known->path);
    *known = (struct watched){.wd = wd, .path = copy};
    return true;
}

static bool add_one(struct watcher *w, const char *path) {
    char full[2 * MAX_FULL_PATH];
    bool root = path[0] == '\0';
    uint32_t extra = root ? 0 : IN_ONLYDIR | IN_DONT_FOLLOW;
    if (w->count >= MAX_DIRECTORIES) {
        errno = EMFILE;
        return false;
    }
    snprintf(full, sizeof full, "%s%s%s", w->ctx->path, root ? "" : "/", path);
    int wd = inotify_add_watch(w->fd, full, EVENTS | extra);
    if (wd < 0) {
        // inotify(7): ENOSPC is the user's limit of watches.
        errno = errno == ENOSPC ? EMFILE : errno;
        return false;
    }
    w->root = root ? wd : w->root;
    return remember(w, wd, path);
}

static DIR *open_watched(struct watcher *w, const char *path) {
    char full[2 * MAX_FULL_PATH];
    bool root = path[0] == '\0';
    snprintf(full, sizeof full, "%s%s%s", w->ctx->path, root ? "" : "/", path);
    int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (root ? 0 : O_NOFOLLOW));
    return fd < 0 ? NULL : fdopendir(fd);
}

static uint8_t type_of(int dir, const char *name) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    return S_ISDIR(st.st_mode) ? 2 : 1;
}

// Adds the directories below path; report: also tells their content as created. False at the limit.
static bool add_below(struct watcher *w, const char *path, bool report, int depth) {
    char child[PATH_MAX];
    const struct dirent *entry;
    DIR *d = depth > MAX_DEPTH ? NULL : open_watched(w, path);
    bool whole = true;
    while (whole && d != NULL && (entry = readdir(d)) != NULL) {
        const char *name = entry->d_name;
        int n = snprintf(child, sizeof child, "%s%s%s", path, path[0] == '\0' ? "" : "/", name);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || n >= PATH_MAX) {
            continue;
        }
        uint8_t type = type_of(dirfd(d), name);
        if (report && type != 0) {
            put_event(w, CREATED, type, 0, child);
        }
        // A directory that may not be read or has gone is left out; only the limit is an error.
        if (type == 2 && add_one(w, child)) {
            whole = add_below(w, child, report, depth + 1);
        } else if (type == 2) {
            whole = errno != EMFILE && errno != ENOMEM;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return whole;
}

// A tree that moved away takes its watches along: their paths would be wrong from here on.
static void drop_tree(struct watcher *w, const char *path) {
    size_t n = strlen(path);
    for (size_t i = 0; i < w->count;) {
        const char *p = w->list[i].path;
        if (strncmp(p, path, n) != 0 || (p[n] != '\0' && p[n] != '/')) {
            i++;
            continue;
        }
        inotify_rm_watch(w->fd, w->list[i].wd);
        free(w->list[i].path);
        w->list[i] = w->list[--w->count];
    }
}

static void drop_one(struct watcher *w, int wd) {
    struct watched *known = find(w, wd);
    if (known != NULL) {
        free(known->path);
        *known = w->list[--w->count];
    }
}

static enum kind kind_of(uint32_t mask) {
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
        return CREATED;
    }
    if ((mask & IN_MODIFY) != 0) {
        return WRITTEN;
    }
    if ((mask & IN_DELETE) != 0) {
        return REMOVED;
    }
    return (mask & IN_MOVED_FROM) != 0 ? RENAMED : ATTRIBUTES;
}

// The watches follow the tree: new directories join, those that moved away leave.
static void follow_tree(struct watcher *w, enum kind kind, const char *path) {
    if (kind == RENAMED) {
        drop_tree(w, path);
        return;
    }
    if (kind != CREATED) {
        return;
    }
    bool added = add_one(w, path);
    if (added ? !add_below(w, path, true, 0) : errno == EMFILE || errno == ENOMEM) {
        put_event(w, OVERFLOWED, 0, 0, "");
    }
}

// False once the watched path itself is gone.
static bool on_event(struct watcher *w, const struct inotify_event *e) {
    char path[PATH_MAX + NAME_MAX + 2];
    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        put_event(w, OVERFLOWED, 0, 0, "");
        return true;
    }
    if (e->wd == w->root && (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
        put_event(w, GONE, 0, 0, "");
        frame_empty(&w->ctx->out, FRAME_END);
        return false;
    }
    if ((e->mask & IN_IGNORED) != 0) {
        drop_one(w, e->wd);
        return true;
    }
    const struct watched *in = find(w, e->wd);
    bool about_itself = e->len == 0;
    // What a directory says of itself its parent says too.
    if (in == NULL || (about_itself && e->wd != w->root)) {
        return true;
    }
    const char *name = about_itself ? "" : e->name;
    snprintf(path, sizeof path, "%s%s%s", in->path, in->path[0] == '\0' ? "" : "/", name);
    enum kind kind = kind_of(e->mask);
    bool directory = (e->mask & IN_ISDIR) != 0;
    put_event(w, kind, directory ? 2 : 1, e->cookie, path);
    if (directory && w->recursive && !about_itself) {
        follow_tree(w, kind, path);
    }
    return true;
}

static bool on_events(struct watcher *w) {
    static _Alignas(struct inotify_event) char events[16384];
    ssize_t n = read(w->fd, events, sizeof events);
    for (char *p = events; n > 0 && p < events + n;) {
        const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
        if (!on_event(w, e)) {
            return false;
        }
        p += sizeof *e + e->len;
    }
    return true;
}

static void start(struct watcher *w) {
    struct stat st;
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd < 0 || stat(w->ctx->path, &st) != 0) {
        files_fail_errno(w->ctx, "watch");
    }
    if (w->recursive && !S_ISDIR(st.st_mode)) {
        files_fail(w->ctx, E_NOT_DIRECTORY, ENOTDIR, "watch: not a directory");
    }
    if (!add_one(w, "") || (w->recursive && !add_below(w, "", false, 0))) {
        files_fail_errno(w->ctx, "watch");
    }
}

void files_watch(struct files_context *ctx) {
    struct watcher w = {.ctx = ctx, .recursive = (ctx->request->flags & FLAG_RECURSIVE) != 0};
    start(&w);
    frame_empty(&ctx->out, FRAME_OK);
    bool going = true;
    while (going) {
        files_flush(ctx);
        struct pollfd p[2] = {{.fd = w.fd, .events = POLLIN}, {.fd = ctx->fd}};
        poll(p, 2, -1);
        if ((p[1].revents & (POLLHUP | POLLERR)) != 0) {
            return;
        }
        going = on_events(&w);
    }
}
