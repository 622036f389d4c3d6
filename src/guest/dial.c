// Dial: a connection to a port or socket inside, made without blocking; relay.c carries the bytes.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"

#define DEFAULT_TIMEOUT_MS 10000
#define KIND_UNIX 1

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

// Length of the address, 0 if the text is none.
static socklen_t parse_address(const struct request *q, const char *text, union address *a) {
    memset(a, 0, sizeof *a);
    if (q->kind == KIND_UNIX) {
        a->local.sun_family = AF_UNIX;
        memcpy(a->local.sun_path, text, strlen(text) + 1);
        return text[0] == '/' ? sizeof a->local : 0;
    }
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(q->port);
        return sizeof a->v4;
    }
    if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(q->port);
        return sizeof a->v6;
    }
    return 0;
}

static void fail(struct conn *c, int err) {
    relay_close(c, false);
    conn_fail_errno(c, err, "dial");
}

static void connect_to(struct conn *c, const char *text) {
    union address a;
    socklen_t length = parse_address(&c->request, text, &a);
    if (length == 0) {
        fail(c, EINVAL);
        return;
    }
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int err = fd < 0 ? errno : 0;
    c->relay.fd = fd;
    if (err == 0 && connect(fd, &a.any, length) != 0 && errno != EINPROGRESS) {
        err = errno;
    }
    if (err != 0 && c->relay.try_v6) {
        c->relay.try_v6 = false;
        relay_close(c, false);
        c->raw = c->relay.connecting = true;
        connect_to(c, "::1");
    } else if (err != 0) {
        fail(c, err);
    }
}

void op_dial(struct conn *c) {
    const struct request *q = &c->request;
    bool port_fits = q->kind == KIND_UNIX ? q->port == 0 : q->port != 0;
    if (!port_fits) {
        conn_fail(c, E_INVALID, 0, "dial: port does not fit the kind");
        return;
    }
    c->raw = c->relay.connecting = true;
    c->relay.try_v6 = q->kind != KIND_UNIX && q->address[0] == '\0';
    c->deadline = now_ms() + (q->millis != 0 ? (int64_t)q->millis : DEFAULT_TIMEOUT_MS);
    c->role = &role_relay;
    connect_to(c, c->relay.try_v6 ? "127.0.0.1" : q->address);
}

// The pending connect is decided: goes on to ::1, fails, or starts the relay.
void dial_decided(struct conn *c) {
    int err = 0;
    socklen_t n = sizeof err;
    if (getsockopt(c->relay.fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0) {
        err = errno;
    }
    if (err == 0) {
        relay_start(c);
    } else if (c->relay.try_v6) {
        c->relay.try_v6 = false;
        relay_close(c, false);
        c->raw = c->relay.connecting = true;
        connect_to(c, "::1");
    } else {
        fail(c, err);
    }
}
