// Helpers: each file operation is served by a forked child that becomes the user and owns the connection.
// The guest itself never touches a file on a user's behalf, so nothing there can make it wait.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "guest.h"

#define CONNECTION_FD 3

static _Noreturn void run_helper(struct conn *c) {
    struct files_context ctx = {.fd = CONNECTION_FD, .request = &c->request, .in = c->in};
    child_reset();
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "ramet-file", 0, 0, 0);
    if (dup2(c->fd, CONNECTION_FD) < 0) {
        _exit(1);
    }
    close_from(CONNECTION_FD + 1);
    int flags = fcntl(CONNECTION_FD, F_GETFL);
    fcntl(CONNECTION_FD, F_SETFL, flags & ~O_NONBLOCK);
    files_serve(&ctx);
    _exit(0);
}

// The connection is the helper's from here on: forgotten here, counted as a helper.
static void start(struct conn *c) {
    bool watch = c->request.op == OP_WATCH;
    struct helper *h = calloc(1, sizeof *h);
    pid_t pid = h == NULL ? -1 : fork();
    if (pid == 0) {
        run_helper(c);
    }
    if (pid < 0) {
        int err = h == NULL ? ENOMEM : errno;
        free(h);
        c->role = &role_none;
        conn_fail_errno(c, err, "file operation");
        return;
    }
    *h = (struct helper){.next = guest.helpers, .pid = pid, .watch = watch};
    guest.helpers = h;
    guest.helper_count++;
    guest.watch_count += watch ? 1 : 0;
    conn_drop(c, false);
}

static void start_when_free(struct conn *c) {
    if (c->request.op == OP_WATCH || guest.helper_count - guest.watch_count < MAX_HELPERS) {
        start(c);
    }
}

// Data that comes in before the turn has come stays where it is.
static enum verdict keep_waiting(struct conn *c, const struct frame *f) {
    (void)c;
    (void)f;
    return PARKED;
}

static const struct role role_queued = {.frame = keep_waiting, .fill = start_when_free};
const struct role role_none = {0};

void op_file(struct conn *c) {
    if (c->request.path[0] == '\0') {
        conn_fail(c, E_INVALID, 0, "empty path");
        return;
    }
    if (c->request.op == OP_WATCH && guest.watch_count >= MAX_WATCHES) {
        conn_fail(c, E_TOO_MANY, 0, "too many watches");
        return;
    }
    c->role = &role_queued;
}

bool helper_reaped(pid_t pid) {
    for (struct helper **at = &guest.helpers; *at != NULL; at = &(*at)->next) {
        struct helper *h = *at;
        if (h->pid == pid) {
            *at = h->next;
            guest.helper_count--;
            guest.watch_count -= h->watch ? 1 : 0;
            free(h);
            return true;
        }
    }
    return false;
}

void helpers_signal(int signal) {
    for (const struct helper *h = guest.helpers; h != NULL; h = h->next) {
        kill(h->pid, signal);
    }
}
