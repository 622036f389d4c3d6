// The process that answers a sandbox's notifications. It ends when no task uses any of the filters any more.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "memoryd.h"
#include "replace.h"
#include "target.h"

#define MOST_ATTEMPTS 3

static bool reply(int listener, uint64_t id, int result) {
    struct notif_reply r = {.id = id};
    if (result == CONTINUE) {
        r.flags = NOTIF_CONTINUE;
    } else {
        r.error = -result;
    }
    // It fails when the thread has been killed or a signal has ended its wait: then nobody needs it.
    return kernel_ioctl(listener, NOTIF_SEND, &r) == 0;
}

static void finish(struct progress *p) {
    // One that its server has crashed on before is answered unseen: EINVAL, which leaves everything as it was.
    replace_reset();
    int result = p->attempts++ < MOST_ATTEMPTS ? answer(&p->notif, p->listener) : EINVAL;
    bool seized = replace_any() && replace_seize(&p->notif);
    if (replace_any() && !seized && !replace_by_zeros(&p->notif, p->listener)) {
        result = EAGAIN;
    }
    bool answered = reply(p->listener, p->notif.id, result);
    if (seized) {
        replace_run(&p->notif, answered, result);
    }
    p->notif.id = 0;
    p->attempts = 0;
}

static void receive(struct progress *p, int listener) {
    memset(p->room, 0, sizeof p->room);
    p->listener = listener;
    p->attempts = 0;
    // ENOENT: a signal has ended the wait between poll and here.
    if (kernel_ioctl(listener, NOTIF_RECV, p->room) == 0) {
        finish(p);
    }
}

static void take_up(const struct listeners *l, struct progress *p) {
    if (p->notif.id == 0) {
        return;
    }
    for (unsigned i = 0; i < l->count; i++) {
        if (l->fds[i] == p->listener && kernel_ioctl(p->listener, NOTIF_ID_VALID, &p->notif.id) == 0) {
            finish(p);
        }
    }
    p->notif.id = 0;
}

static int by_number(const void *a, const void *b) {
    const struct pollfd *x = a, *y = b;
    return (x->fd > y->fd) - (x->fd < y->fd);
}

static void close_between(int first, int last) {
    if (first <= last && syscall(SYS_close_range, (unsigned long)first, (unsigned long)last, 0ul) != 0) {
        for (int fd = first; fd <= last && fd < 65536; fd++) {
            close(fd);
        }
    }
}

// Other sandboxes' listeners, the socket and its clients are not this process's business.
static struct pollfd *own_only(const struct listeners *l) {
    struct pollfd *fds = calloc(l->count, sizeof *fds);
    if (fds == NULL) {
        _exit(1);
    }
    for (unsigned i = 0; i < l->count; i++) {
        fds[i] = (struct pollfd){.fd = l->fds[i], .events = POLLIN};
        uint64_t flags = NOTIF_SYNC_WAKE_UP;
        // From Linux 6.6, faster: the one that waits and the one that answers take turns on one processor.
        syscall(SYS_ioctl, fds[i].fd, NOTIF_SET_FLAGS, flags);
    }
    qsort(fds, l->count, sizeof *fds, by_number);
    int next = 3;
    for (unsigned i = 0; i < l->count; i++) {
        close_between(next, fds[i].fd - 1);
        next = fds[i].fd + 1;
    }
    close_between(next, INT32_MAX);
    return fds;
}

// SIGTERM and the like end a server while it waits, never in the middle of an answer; SIGCHLD tells of traced
// threads.
static void set_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

_Noreturn void serve(const struct listeners *l, struct progress *p) {
    struct pollfd *fds = own_only(l);
    unsigned count = l->count;
    // A session of its own: what ends memoryd's must not end this.
    setsid();
    set_signals();
    sigset_t none;
    sigemptyset(&none);
    take_up(l, p);
    while (count > 0) {
        if (ppoll(fds, count, NULL, &none) < 0 && errno != EINTR) {
            _exit(1);
        }
        for (unsigned i = 0; i < count;) {
            if ((fds[i].revents & POLLIN) != 0) {
                receive(p, fds[i].fd);
            } else if (fds[i].revents != 0) {
                close(fds[i].fd);
                fds[i] = fds[--count];
                continue;
            }
            i++;
        }
    }
    _exit(0);
}
