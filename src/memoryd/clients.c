// Connections and their requests: one line each, one line back.
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "memoryd.h"

#define IDLE_MS 30000
// "adopt ", the path, the end of the line.
#define LINE (MAX_PATH_LENGTH + 7)

struct client {
    int fd;
    size_t length;
    int64_t deadline;
    char line[LINE];
};

static struct client clients[MAX_CLIENTS];
static unsigned count;

bool clients_any(void) {
    return count > 0;
}

static bool is_root(int fd) {
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == 0;
}

static bool answer_line(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool answer_line(int fd, const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    // So short a line fits into any socket whose peer reads its answers.
    return n > 0 && send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

// Unread input would make the kernel reset the connection, and the peer lose its answer.
static void hang_up(int fd) {
    char waste[1024];
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 64 && recv(fd, waste, sizeof waste, MSG_DONTWAIT) > 0; i++) {
    }
    close(fd);
}

static void drop(unsigned i) {
    hang_up(clients[i].fd);
    clients[i] = clients[--count];
}

void clients_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (!is_root(fd) || count == MAX_CLIENTS) {
        answer_line(fd, "error %s\n", count == MAX_CLIENTS ? "too many clients" : "only root may ask");
        hang_up(fd);
        return;
    }
    struct client *c = &clients[count++];
    c->fd = fd;
    c->length = 0;
    c->deadline = now_ms() + IDLE_MS;
}

static bool is_procs_file(const char *path) {
    static const char name[] = "/cgroup.procs";
    size_t n = strlen(path);
    return path[0] == '/' && n <= MAX_PATH_LENGTH && n > strlen(name)
        && strcmp(path + n - strlen(name), name) == 0 && strstr(path, "/../") == NULL;
}

static bool answer_adopt(int fd, const char *path) {
    struct adoption result;
    if (!is_procs_file(path)) {
        answer_line(fd, "error not the absolute path of a cgroup.procs\n");
        return false;
    }
    if (!adopt(path, &result)) {
        say("cannot adopt %s: %s", path, result.error);
        return answer_line(fd, "error %s\n", result.error);
    }
    if (result.pending > 0) {
        return answer_line(fd, "adopted %u pending %u\n", result.adopted, result.pending);
    }
    return answer_line(fd, "adopted %u\n", result.adopted);
}

// False ends the connection.
static bool answer_request(int fd, const char *line) {
    if (strncmp(line, "adopt ", 6) == 0) {
        return answer_adopt(fd, line + 6);
    }
    if (strcmp(line, "version") == 0) {
        return answer_line(fd, "version %s\n", MEMORYD_VERSION);
    }
    if (strcmp(line, "status") == 0) {
        sandboxes_tick();
        return answer_line(fd, "status %u\n", sandbox_count());
    }
    if (strcmp(line, "drain") == 0) {
        drain();
        return answer_line(fd, "draining %u\n", sandbox_count());
    }
    answer_line(fd, "error unknown request\n");
    return false;
}

static bool answer_all(struct client *c) {
    char *end;
    while ((end = memchr(c->line, '\n', c->length)) != NULL) {
        size_t used = (size_t)(end - c->line) + 1;
        *end = '\0';
        if (strlen(c->line) != used - 1) {
            answer_line(c->fd, "error a zero byte in a request\n");
            return false;
        }
        if (!answer_request(c->fd, c->line)) {
            return false;
        }
        memmove(c->line, c->line + used, c->length - used);
        c->length -= used;
    }
    if (c->length == sizeof c->line) {
        answer_line(c->fd, "error a request that is too long\n");
        return false;
    }
    return true;
}

// False ends the connection.
static bool receive(struct client *c) {
    ssize_t n = recv(c->fd, c->line + c->length, sizeof c->line - c->length, 0);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    c->length += (size_t)n;
    c->deadline = now_ms() + IDLE_MS;
    return answer_all(c);
}

unsigned clients_prepare(struct pollfd *fds) {
    for (unsigned i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }
    return count;
}

// From the last to the first: the last one takes the place of one that goes.
void clients_handle(const struct pollfd *fds, unsigned n) {
    for (unsigned i = n; i-- > 0;) {
        if (fds[i].revents != 0 && !receive(&clients[i])) {
            drop(i);
        }
    }
}

void clients_expire(void) {
    int64_t now = now_ms();
    for (unsigned i = count; i-- > 0;) {
        if (now > clients[i].deadline) {
            drop(i);
        }
    }
}
