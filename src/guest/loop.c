// The event loop: everybody says what to wait for, poll waits, the ready ones are called.
// poll and not epoll: no kernel object to dump, and no stale entries after a fork.
#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define MAX_SLOTS (2 + MAX_CONNECTIONS * 2 + (MAX_PROCESSES + MAX_EXITED) * 4)
#define TICK_MS 250

struct slot {
    void (*ready)(void *owner, int which, short events);
    void *owner;
    int which;
};

static struct pollfd fds[MAX_SLOTS];
static struct slot slots[MAX_SLOTS];
static unsigned slot_count;

static int64_t clock_ms(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t now_ms(void) {
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t wall_ms(void) {
    return clock_ms(CLOCK_REALTIME);
}

bool poll_add(int fd, short events, void (*ready)(void *owner, int which, short events), void *owner,
              int which) {
    if (fd < 0 || slot_count == MAX_SLOTS) {
        return false;
    }
    fds[slot_count] = (struct pollfd){.fd = fd, .events = events};
    slots[slot_count++] = (struct slot){ready, owner, which};
    return true;
}

static void prepare(void) {
    slot_count = 0;
    poll_add(guest.signal_pipe[0], POLLIN, signals_handle, NULL, 0);
    // A quiesce waits for what is under way, and would never end if more came all the time.
    if (guest.quiescing == NULL) {
        poll_add(guest.listener, POLLIN, conn_accept, NULL, 0);
    }
    for (struct conn *c = guest.conns; c != NULL; c = c->next) {
        conn_prepare(c);
    }
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        proc_prepare(p);
    }
}

// Anything with a deadline is looked at each tick; with none of it the guest sleeps for good.
static int timeout(void) {
    if (guest.quiescing != NULL || guest.hold_left > 0 || guest.shutting_down) {
        return TICK_MS / 10;
    }
    int wait = -1;
    for (const struct conn *c = guest.conns; c != NULL; c = c->next) {
        if (c->deadline != 0) {
            wait = TICK_MS;
        }
    }
    for (const struct proc *p = guest.procs; p != NULL; p = p->next) {
        if (p->reaped && !p->drained) {
            return TICK_MS / 10;
        }
        if (p->away_until != 0) {
            wait = TICK_MS;
        }
    }
    return wait;
}

static void expire(int64_t now) {
    for (struct conn *c = guest.conns; c != NULL; c = c->next) {
        if (c->deadline == 0 || c->dead || now < c->deadline) {
            continue;
        }
        c->deadline = 0;
        if (c->relay.connecting) {
            relay_close(c, false);
            conn_fail(c, E_TIMEOUT, ETIMEDOUT, "dial: no answer in time");
        } else {
            conn_drop(c, true);
        }
    }
}

static void sweep(void) {
    int64_t now = now_ms();
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        proc_check_drained(p);
    }
    expire(now);
    quiesce_tick(now);
    conns_sweep();
    procs_sweep();
}

void loop_run(void) {
    for (;;) {
        prepare();
        int ready = poll(fds, slot_count, timeout());
        for (unsigned i = 0; i < slot_count && ready > 0; i++) {
            if (fds[i].revents != 0) {
                slots[i].ready(slots[i].owner, slots[i].which, fds[i].revents);
            }
        }
        sweep();
        if (guest.shutting_down) {
            reap_children();
        }
    }
}
