// Entry records: what stat tells, with names and link targets.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files.h"

uint8_t entry_type(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return 1;
    case S_IFDIR:
        return 2;
    case S_IFLNK:
        return 3;
    case S_IFIFO:
        return 4;
    case S_IFCHR:
        return 5;
    case S_IFBLK:
        return 6;
    case S_IFSOCK:
        return 7;
    default:
        return 0;
    }
}

static uint64_t nanoseconds(struct timespec t) {
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Listings repeat the same few owners: the last answer is kept.
static const char *owner_name(struct files_context *ctx, uid_t uid) {
    static char name[64];
    static uid_t last;
    static bool known;
    if (!known || last != uid) {
        user_name_of(&ctx->names, uid, name, sizeof name);
        last = uid;
        known = true;
    }
    return name;
}

static const char *group_name(struct files_context *ctx, gid_t gid) {
    static char name[64];
    static gid_t last;
    static bool known;
    if (!known || last != gid) {
        group_name_of(&ctx->names, gid, name, sizeof name);
        last = gid;
        known = true;
    }
    return name;
}

enum { ATTRIBUTES_LOOKED_AT = 1, ATTRIBUTES_OF_USERS = 2 };

// Whether a file has attributes in the namespace "user.": whoever lists a directory need not ask for each.
static uint16_t attributes_of(const struct entry *e) {
    static char names[65536]; // as long as the kernel lets a list be
    char path[PATH_MAX];
    if (!S_ISREG(e->st.st_mode)) {
        return 0;
    }
    int length = e->dir == AT_FDCWD ? snprintf(path, sizeof path, "%s", e->name)
                                    : snprintf(path, sizeof path, "/proc/self/fd/%d/%s", e->dir, e->name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return 0;
    }
    ssize_t size = llistxattr(path, names, sizeof names);
    if (size < 0) {
        return errno == EOPNOTSUPP ? ATTRIBUTES_LOOKED_AT : 0;
    }
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        if (strncmp(name, "user.", 5) == 0) {
            return ATTRIBUTES_LOOKED_AT | ATTRIBUTES_OF_USERS;
        }
    }
    return ATTRIBUTES_LOOKED_AT;
}

void put_entry(struct files_context *ctx, const struct entry *e) {
    struct buf *b = &ctx->out;
    char target[PATH_MAX] = "";
    struct stat led;
    bool link = S_ISLNK(e->st.st_mode);
    bool leads = link && fstatat(e->dir, e->name, &led, 0) == 0;
    ssize_t n = link ? readlinkat(e->dir, e->name, target, sizeof target - 1) : 0;
    target[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(e->path, '/');
    put_u8(b, entry_type(e->st.st_mode));
    put_u8(b, leads ? entry_type(led.st_mode) : 0);
    put_u16(b, attributes_of(e));
    put_u32(b, e->st.st_mode & 07777);
    put_u32(b, e->st.st_uid);
    put_u32(b, e->st.st_gid);
    put_u32(b, (uint32_t)e->st.st_nlink);
    put_u64(b, (uint64_t)e->st.st_size);
    put_u64(b, nanoseconds(e->st.st_mtim));
    put_str(b, slash == NULL || slash[1] == '\0' ? e->path : slash + 1);
    put_str(b, e->path);
    put_str(b, owner_name(ctx, e->st.st_uid));
    put_str(b, group_name(ctx, e->st.st_gid));
    put_str(b, target);
}

static void without_trailing_slash(char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
}

void reply_entry(struct files_context *ctx, const struct buf *before, const char *path, bool follow) {
    char shown[MAX_FULL_PATH];
    struct entry e = {.dir = AT_FDCWD, .name = path, .path = shown};
    // Before the frame is begun: a failure has to be a frame of its own.
    if (fstatat(AT_FDCWD, path, &e.st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
        files_fail_errno(ctx, "stat");
    }
    strcpy(shown, path);
    without_trailing_slash(shown);
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    if (before != NULL) {
        buf_put(&ctx->out, before->data, buf_size(before));
    }
    put_entry(ctx, &e);
    frame_end(&ctx->out, mark);
}
