// Connections: accept, frames in, bytes out, close. What a connection does is its role.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define REQUEST_DEADLINE_MS 10000
#define LINGER_MS 2000
#define ACCEPT_AT_ONCE 64

static void conn_ready(void *owner, int which, short events);

static void conn_new(int fd) {
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        close(fd);
        return;
    }
    c->fd = fd;
    c->relay.fd = -1;
    c->role = &role_new;
    c->deadline = now_ms() + REQUEST_DEADLINE_MS;
    c->next = guest.conns;
    guest.conns = c;
    guest.conn_count++;
    if (guest.conn_count + guest.helper_count > MAX_CONNECTIONS) {
        conn_fail(c, E_TOO_MANY, 0, "too many connections");
        c->linger = false;
    }
}

void conn_accept(void *owner, int which, short events) {
    (void)owner;
    (void)which;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(guest.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            conn_new(fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE) {
            // Without a descriptor to accept with, the loop would spin on a ready listener.
            usleep(1000);
        }
        return;
    }
}

void conn_drop(struct conn *c, bool by_host) {
    if (c->dead) {
        return;
    }
    c->dead = true;
    if (c->role->gone != NULL) {
        c->role->gone(c, by_host);
    }
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        p->spawner = p->spawner == c ? NULL : p->spawner;
        p->killer = p->killer == c ? NULL : p->killer;
    }
    if (guest.quiescing == c) {
        guest.quiescing = NULL;
    }
    close(c->fd);
    c->fd = -1;
}

void conns_sweep(void) {
    for (struct conn **at = &guest.conns; *at != NULL;) {
        struct conn *c = *at;
        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        guest.conn_count--;
        buf_free(&c->in);
        buf_free(&c->out);
        buf_free(&c->relay.to_inner);
        free(c->text);
        free(c);
    }
}

// No more is expected from the host, and what is queued is the end.
void conn_done(struct conn *c) {
    c->closing = true;
    c->deadline = now_ms() + REQUEST_DEADLINE_MS;
}

void conn_fail(struct conn *c, uint16_t code, int err, const char *message) {
    frame_error(&c->out, code, err, message);
    c->linger = true;
    conn_done(c);
}

void conn_fail_errno(struct conn *c, int err, const char *what) {
    char message[160];
    snprintf(message, sizeof message, "%s: %s", what, strerror(err));
    conn_fail(c, code_of_errno(err), err, message);
}

void conn_ok(struct conn *c) {
    frame_empty(&c->out, FRAME_OK);
    conn_done(c);
}

static void flush(struct conn *c) {
    while (buf_size(&c->out) > 0) {
        ssize_t n = send(c->fd, buf_front(&c->out), buf_size(&c->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            buf_drop(&c->out, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            if (errno != EAGAIN) {
                conn_drop(c, true);
            }
            return;
        }
    }
}

// A host that is still sending would meet a broken pipe and might never read the error: its bytes are
// taken and thrown away for a while.
static void finish(struct conn *c) {
    if (!c->linger || c->input_end) {
        conn_drop(c, true);
    } else if (!c->lingering) {
        c->lingering = true;
        c->deadline = now_ms() + LINGER_MS;
        shutdown(c->fd, SHUT_WR);
    }
}

// Produces and sends until the socket is full or there is nothing more to say for now.
static void pump(struct conn *c) {
    while (!c->dead) {
        if (buf_size(&c->out) == 0 && !c->closing && c->role->fill != NULL) {
            c->role->fill(c);
        }
        if (c->out.failed) {
            conn_drop(c, true);
        }
        if (c->dead || buf_size(&c->out) == 0) {
            break;
        }
        flush(c);
        if (c->dead || buf_size(&c->out) > 0) {
            return;
        }
    }
    if (!c->dead && c->closing && buf_size(&c->out) == 0) {
        finish(c);
    }
}

static enum frame_status next_frame(struct conn *c, struct frame *f) {
    return frame_parse(buf_front(&c->in), buf_size(&c->in), !c->started, f);
}

static void dispatch(struct conn *c) {
    struct frame f;
    c->parked = false;
    while (!c->dead && !c->closing && !c->raw) {
        enum frame_status status = next_frame(c, &f);
        if (status == FRAME_MORE) {
            return;
        }
        if (status == FRAME_TOO_LONG) {
            conn_fail(c, E_LIMIT, 0, "frame too long");
            return;
        }
        if (status == FRAME_BAD || c->role->frame == NULL) {
            conn_fail(c, E_PROTOCOL, 0, "unexpected or malformed frame");
            return;
        }
        if (c->role->frame(c, &f) == PARKED) {
            c->parked = true;
            return;
        }
        if (!c->dead) {
            buf_drop(&c->in, FRAME_HEADER + f.len);
        }
    }
}

static bool wants_input(const struct conn *c) {
    bool open = c->closing ? c->lingering : !c->parked;
    return open && !c->input_end && !c->dead;
}

static void receive(struct conn *c) {
    ssize_t n = recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT);
    if (n > 0 && c->closing) {
        return;
    }
    if (n > 0) {
        buf_put(&c->in, scratch, (size_t)n);
        if (c->in.failed) {
            conn_drop(c, true);
            return;
        }
        dispatch(c);
    } else if (n == 0) {
        c->input_end = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_drop(c, true);
    }
}

static void conn_ready(void *owner, int which, short events) {
    struct conn *c = owner;
    (void)which;
    if (c->dead) {
        return;
    }
    if ((events & (POLLIN | POLLHUP)) != 0) {
        do {
            if (wants_input(c)) {
                receive(c);
            }
            // What came before the hang-up still counts, unless nobody has room for it.
        } while ((events & POLLHUP) != 0 && wants_input(c));
    }
    if (c->raw || c->dead) {
        return;
    }
    bool unfinished = !c->started && c->input_end;
    if ((events & (POLLHUP | POLLERR)) != 0 || unfinished) {
        conn_drop(c, true);
    }
}

void conn_prepare(struct conn *c) {
    if (c->raw) {
        relay_prepare(c);
        return;
    }
    if (c->parked) {
        dispatch(c);
    }
    pump(c);
    if (c->dead) {
        return;
    }
    if (c->raw) {
        relay_prepare(c);
        return;
    }
    int events = (wants_input(c) ? POLLIN : 0) | (buf_size(&c->out) > 0 ? POLLOUT : 0);
    poll_add(c->fd, (short)events, conn_ready, c, 0);
}
