// Relay: bytes both ways between a connection and a dialled socket, half-closes included.
// What one side does not take at once waits in a buffer, and the other side is not read meanwhile.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define SIDE_HOST 0
#define SIDE_INNER 1
#define FAREWELL_MS 60000

// To host: c->out. To inner: relay.to_inner; what came with the request still lies in c->in.
static struct buf *waiting_for(struct conn *c, int side) {
    return side == SIDE_HOST ? &c->out : &c->relay.to_inner;
}

static int fd_of(const struct conn *c, int side) {
    return side == SIDE_HOST ? c->fd : c->relay.fd;
}

void relay_close(struct conn *c, bool reset) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (c->relay.fd >= 0) {
        if (reset) {
            setsockopt(c->relay.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        close(c->relay.fd);
    }
    c->relay.fd = -1;
    c->relay.connecting = false;
    c->raw = false;
}

// A drop by the guest (quiesce) resets: a closed socket inside can be dumped, a half-closed one cannot.
static void gone(struct conn *c, bool by_host) {
    relay_close(c, !by_host);
}

const struct role role_relay = {.gone = gone};

void relay_start(struct conn *c) {
    int on = 1;
    setsockopt(c->relay.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->relay.connecting = false;
    c->deadline = 0;
    c->relay.to_inner = c->in;
    c->in = (struct buf){0};
    frame_empty(&c->out, FRAME_OK);
}

// A server may answer, and leave without having read the rest: what it has said is still told, and what the host
// goes on sending is taken, since a host that cannot send may not look at what it was sent.
static void deafen(struct conn *c) {
    struct buf *rest = &c->relay.to_inner;
    c->relay.deaf = true;
    buf_drop(rest, buf_size(rest));
}

static bool send_waiting(struct conn *c, int side) {
    struct buf *b = waiting_for(c, side);
    while (buf_size(b) > 0) {
        ssize_t n = send(fd_of(c, side), buf_front(b), buf_size(b), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            buf_drop(b, (size_t)n);
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN) {
            return true;
        } else if (side == SIDE_INNER) {
            deafen(c);
        } else {
            return false;
        }
    }
    return true;
}

// A server that sends its answer in small pieces may wait with the next one until it hears of the last, which the
// kernel puts off by 40 ms on a connection that has been used before.
static void acknowledge(const struct conn *c) {
    int on = 1;
    setsockopt(c->relay.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

// Moves what `from` has to the other side. False: that way is broken for good.
static bool carry(struct conn *c, int from) {
    int to = 1 - from;
    bool *ended = from == SIDE_HOST ? &c->relay.from_host_end : &c->relay.from_inner_end;
    if (*ended || buf_size(waiting_for(c, to)) > 0) {
        return true;
    }
    ssize_t n = recv(fd_of(c, from), scratch, sizeof scratch, MSG_DONTWAIT);
    if (n == 0) {
        *ended = true;
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    } else if (n < 0 && from == SIDE_HOST) {
        return false;
    } else if (n < 0) {
        *ended = true;
        deafen(c);
    } else if (from == SIDE_INNER || !c->relay.deaf) {
        buf_put(waiting_for(c, to), scratch, (size_t)n);
    }
    if (n > 0 && (size_t)n < sizeof scratch && from == SIDE_INNER) {
        acknowledge(c);
    }
    return !waiting_for(c, to)->failed && send_waiting(c, to);
}

static void tell_ends(struct conn *c) {
    struct relay *r = &c->relay;
    if (r->from_host_end && !r->told_inner && buf_size(&r->to_inner) == 0) {
        r->told_inner = true;
        shutdown(r->fd, SHUT_WR);
    }
    if (r->from_inner_end && !r->told_host && buf_size(&c->out) == 0) {
        r->told_host = true;
        shutdown(c->fd, SHUT_WR);
    }
    if (r->deaf && r->told_host && c->deadline == 0) {
        c->deadline = now_ms() + FAREWELL_MS;
    }
    if (r->told_inner && r->told_host) {
        conn_drop(c, true);
    }
}

// The host has closed both ways: its last bytes still go in, nothing comes out any more.
static void host_gone(struct conn *c) {
    while (!c->relay.from_host_end && buf_size(&c->relay.to_inner) == 0) {
        if (!carry(c, SIDE_HOST)) {
            break;
        }
    }
    if (buf_size(&c->relay.to_inner) == 0 || c->relay.host_gone) {
        conn_drop(c, true);
        return;
    }
    c->relay.host_gone = true;
    c->deadline = now_ms() + FAREWELL_MS;
}

static void relay_ready(void *owner, int side, short events) {
    struct conn *c = owner;
    if (c->dead || !c->raw) {
        return;
    }
    if (c->relay.connecting) {
        if (side == SIDE_INNER) {
            dial_decided(c);
        } else {
            conn_drop(c, true);
        }
        return;
    }
    bool whole = true;
    if ((events & POLLOUT) != 0) {
        whole = send_waiting(c, side);
    }
    if (whole && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        whole = carry(c, side);
    }
    if (!whole) {
        conn_drop(c, side == SIDE_HOST);
    } else if (side == SIDE_HOST && (events & POLLHUP) != 0) {
        host_gone(c);
    }
}

static short events_of(struct conn *c, int side) {
    bool ended = side == SIDE_HOST ? c->relay.from_host_end : c->relay.from_inner_end;
    bool readable = !ended && buf_size(waiting_for(c, 1 - side)) == 0;
    return (short)((readable ? POLLIN : 0) | (buf_size(waiting_for(c, side)) > 0 ? POLLOUT : 0));
}

void relay_prepare(struct conn *c) {
    if (c->relay.connecting) {
        poll_add(c->fd, 0, relay_ready, c, SIDE_HOST);
        poll_add(c->relay.fd, POLLOUT, relay_ready, c, SIDE_INNER);
        return;
    }
    if (!send_waiting(c, SIDE_HOST) || !send_waiting(c, SIDE_INNER)) {
        conn_drop(c, true);
        return;
    }
    if (c->relay.host_gone && buf_size(&c->relay.to_inner) == 0) {
        host_gone(c);
        return;
    }
    tell_ends(c);
    if (c->dead) {
        return;
    }
    if (!c->relay.host_gone) {
        poll_add(c->fd, events_of(c, SIDE_HOST), relay_ready, c, SIDE_HOST);
    }
    // Without events poll would only repeat its hang-up while the host is slow.
    short inner = events_of(c, SIDE_INNER);
    if (inner != 0) {
        poll_add(c->relay.fd, inner, relay_ready, c, SIDE_INNER);
    }
}
