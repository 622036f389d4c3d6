// File operations, run inside a helper process as the user, with a blocking connection.
#ifndef RAMET_FILES_H
#define RAMET_FILES_H

#include <sys/stat.h>

#include "errors.h"
#include "request.h"
#include "users.h"
#include "wire.h"

#define MAX_FULL_PATH 8192

struct files_context {
    int fd;
    const struct request *request;
    // in: what has been received and not used; out: what is still to be sent.
    struct buf in, out;
    struct user_files names;
    struct user user;
    char path[MAX_FULL_PATH], to[MAX_FULL_PATH];
};

// Becomes the user and does the operation. Every way out has sent the last frame or found nobody listening.
void files_serve(struct files_context *ctx);

// Sends what is queued. The helper ends here when the host has gone.
void files_flush(struct files_context *ctx);
// Queues without sending until there is a good deal of it.
void files_flush_when_large(struct files_context *ctx);
_Noreturn void files_fail(struct files_context *ctx, uint16_t code, int err, const char *message);
_Noreturn void files_fail_errno(struct files_context *ctx, const char *what);
// The next frame from the host; false at the end of its input. Valid until the next call.
bool files_receive(struct files_context *ctx, struct frame *f);

// fileio.c: looks before it opens, as opening a device can have effects of its own.
int open_regular(struct files_context *ctx, const char *path, int flags, mode_t mode);

// entry.c
struct entry {
    int dir;
    const char *name;
    const char *path;
    struct stat st;
};
void put_entry(struct files_context *ctx, const struct entry *e);
// Replies OK with the fields in `before`, if any, and the entry at path.
void reply_entry(struct files_context *ctx, const struct buf *before, const char *path, bool follow);
uint8_t entry_type(mode_t mode);

// The operations; each sends its replies through ctx.
void files_stat(struct files_context *ctx);
void files_list(struct files_context *ctx);
void files_read(struct files_context *ctx);
void files_read_raw(struct files_context *ctx);
void files_write(struct files_context *ctx);
void files_mkdir(struct files_context *ctx);
void files_rename(struct files_context *ctx);
void files_remove(struct files_context *ctx);
void files_chmod(struct files_context *ctx);
void files_chown(struct files_context *ctx);
void files_symlink(struct files_context *ctx);
void files_readlink(struct files_context *ctx);
void files_xattr_get(struct files_context *ctx);
void files_xattr_set(struct files_context *ctx);
void files_xattr_list(struct files_context *ctx);
void files_xattr_remove(struct files_context *ctx);
void files_watch(struct files_context *ctx);

// Makes the missing directories above path, or path itself too. False with errno set.
bool make_parents(const char *path);

#endif
