// Sending file content as it is: the kernel passes it from the file's pages to the socket, and the host reads it without
// looking for frames in it.
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "files.h"
#include "guest.h"

// Much enough for one call to be worth it; each of them is bounded by the kernel anyway.
#define MOST_AT_ONCE (1u << 20)

// Some file systems cannot do it by themselves.
static ssize_t copy_some(int to, int from, off_t *offset, uint64_t left) {
    ssize_t n = pread(from, scratch, left < MAX_FRAME ? left : MAX_FRAME, *offset);
    ssize_t sent = 0;
    while (n > 0 && sent < n) {
        ssize_t done = write(to, scratch + sent, (size_t)(n - sent));
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        sent += done > 0 ? done : 0;
    }
    *offset += sent;
    return n < 0 ? n : sent;
}

// A file that ends early or cannot be read leaves fewer bytes than were promised, and the end of the connection.
static void send_raw(int to, int from, off_t offset, uint64_t left) {
    bool passes = true;
    while (left > 0) {
        size_t most = left < MOST_AT_ONCE ? (size_t)left : MOST_AT_ONCE;
        ssize_t n = passes ? sendfile(to, from, &offset, most) : copy_some(to, from, &offset, left);
        if (n < 0 && passes && (errno == EINVAL || errno == ENOSYS || errno == EPERM)) {
            passes = false;
        } else if (n == 0 || (n < 0 && errno != EINTR)) {
            return;
        } else {
            left -= n > 0 ? (uint64_t)n : 0;
        }
    }
}

void files_read_raw(struct files_context *ctx) {
    const struct request *q = ctx->request;
    struct entry e = {.dir = AT_FDCWD, .name = ctx->path, .path = ctx->path};
    int fd = open_regular(ctx, ctx->path, O_RDONLY, 0);
    if (fstat(fd, &e.st) != 0) {
        files_fail_errno(ctx, "read");
    }
    // A file of sysfs says that it has a page, and as a rule has less.
    if (e.st.st_size > 0 && e.st.st_blocks == 0) {
        files_fail(ctx, E_UNSUPPORTED, 0, "read: its size may not be what it has");
    }
    uint64_t size = (uint64_t)e.st.st_size;
    uint64_t rest = q->offset < size ? size - q->offset : 0;
    uint64_t promised = q->length < rest ? q->length : rest;
    size_t mark = frame_begin(&ctx->out, FRAME_OK);
    put_u64(&ctx->out, promised);
    put_entry(ctx, &e);
    frame_end(&ctx->out, mark);
    files_flush(ctx);
    send_raw(ctx->fd, fd, (off_t)q->offset, promised);
}
