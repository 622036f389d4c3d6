// Spawn, the guest's side: descriptors, fork, and the child's word on whether execve went through.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

#define DEFAULT_ROWS 24
#define DEFAULT_COLS 80

static void close_all(int *fds, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
    }
}

static bool nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

// ours: the guest's end. theirs: the child's end. Both close on exec.
static bool open_pipe(int *ours, int *theirs, bool we_read) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    *ours = ends[we_read ? 0 : 1];
    *theirs = ends[we_read ? 1 : 0];
    return nonblocking(*ours);
}

static bool open_pty(struct proc *p, const struct request *q, struct child_fds *child) {
    struct winsize size = {
        .ws_row = q->rows != 0 ? q->rows : DEFAULT_ROWS,
        .ws_col = q->cols != 0 ? q->cols : DEFAULT_COLS,
    };
    int unlock = 0;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    p->out[0] = p->in = master;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) != 0
        || ioctl(master, TIOCSWINSZ, &size) != 0) {
        return false;
    }
    // By descriptor and not by name: /dev/pts belongs to the sandbox.
    child->fds[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    child->pty = true;
    return child->fds[0] >= 0;
}

static bool open_pipes(struct proc *p, const struct request *q, struct child_fds *child) {
    if ((q->flags & SPAWN_STDIN) != 0) {
        if (!open_pipe(&p->in, &child->fds[0], false)) {
            return false;
        }
    } else {
        child->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return child->fds[0] >= 0 && open_pipe(&p->out[0], &child->fds[1], true)
        && open_pipe(&p->out[1], &child->fds[2], true);
}

static bool open_fds(struct proc *p, const struct request *q, struct child_fds *child) {
    if (!open_pipe(&p->error_pipe, &child->error_pipe, true)) {
        return false;
    }
    return (q->flags & SPAWN_PTY) != 0 ? open_pty(p, q, child) : open_pipes(p, q, child);
}

static const char *refusal(const struct request *q, uint16_t *code) {
    *code = E_INVALID;
    if (q->argv.count == 0 || q->argv.first[0] == '\0') {
        return "spawn: no command";
    }
    if (q->cwd[0] != '\0' && q->cwd[0] != '/') {
        return "spawn: cwd is not absolute";
    }
    if ((q->flags & SPAWN_NO_ATTACH) != 0 && (q->flags & SPAWN_KILL_ON_CLOSE) != 0) {
        return "spawn: NO_ATTACH and KILL_ON_CLOSE exclude each other";
    }
    if (guest.shutting_down) {
        *code = E_SHUTTING_DOWN;
        return "spawn: the guest is shutting down";
    }
    *code = E_TOO_MANY;
    if (guest.running + guest.starting >= MAX_PROCESSES || guest.ring_total >= MAX_RING_TOTAL) {
        return "spawn: too many processes or too much output kept";
    }
    struct request tag_only = {.tag = q->tag};
    const struct proc *same = proc_target(&tag_only);
    if (same != NULL && same->state == PROC_RUNNING) {
        *code = E_EXISTS;
        return "spawn: a running process has this tag";
    }
    return NULL;
}

// The number of a process that is gone may come again: the old record gives way.
static void forget_same_pid(const struct proc *p) {
    for (struct proc *old = guest.procs; old != NULL; old = old->next) {
        if (old != p && old->pid == p->pid && old->state == PROC_EXITED && !old->dead) {
            readers_lost(old);
            old->dead = true;
            guest.exited--;
        }
    }
}

static void link_process(struct proc *p, struct conn *c) {
    struct proc **at = &guest.procs;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = p;
    p->id = guest.next_proc_id++;
    p->spawner = c;
    guest.starting++;
    forget_same_pid(p);
}

// A host that leaves before execve is through still gets what KILL_ON_CLOSE promised.
static void gone_spawning(struct conn *c, bool by_host) {
    bool kill_it = by_host && (c->request.flags & SPAWN_KILL_ON_CLOSE) != 0;
    for (const struct proc *p = guest.procs; p != NULL && kill_it; p = p->next) {
        if (p->spawner == c && !p->reaped) {
            kill(p->pid, SIGKILL);
        }
    }
}

static const struct role role_spawning = {.gone = gone_spawning};

void op_spawn(struct conn *c) {
    const struct request *q = &c->request;
    struct child_fds child = {.fds = {-1, -1, -1}, .error_pipe = -1};
    uint16_t code;
    const char *why = refusal(q, &code);
    if (why != NULL) {
        conn_fail(c, code, 0, why);
        return;
    }
    struct proc *p = proc_new(q);
    if (p == NULL) {
        conn_fail(c, E_NO_MEMORY, ENOMEM, "spawn: out of memory");
        return;
    }
    bool opened = open_fds(p, q, &child);
    p->pid = opened ? fork() : -1;
    if (p->pid == 0) {
        child_exec(q, &child);
    }
    int err = errno;
    close_all(child.fds, 3);
    close_all(&child.error_pipe, 1);
    if (p->pid < 0) {
        proc_remove(p);
        conn_fail_errno(c, err, "spawn");
        return;
    }
    link_process(p, c);
    c->role = &role_spawning;
}

static void spawned(struct proc *p, struct conn *c) {
    uint32_t flags = c->request.flags;
    if ((flags & SPAWN_KILL_ON_CLOSE) != 0) {
        p->killer = c;
    }
    c->reader.input = (flags & (SPAWN_STDIN | SPAWN_PTY)) != 0;
    reader_start(c, p, p->ring.oldest);
    if ((flags & SPAWN_NO_ATTACH) != 0) {
        conn_done(c);
    }
    free(c->text);
    c->text = NULL;
}

// Reads the error pipe: closed without a word means that execve succeeded.
void spawn_resolve(struct proc *p) {
    struct spawn_error error;
    ssize_t n = read(p->error_pipe, &error, sizeof error);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    struct conn *c = p->spawner;
    close(p->error_pipe);
    p->error_pipe = -1;
    p->spawner = NULL;
    guest.starting--;
    if (n == (ssize_t)sizeof error) {
        p->dead = true;
        if (c != NULL) {
            error.message[sizeof error.message - 1] = '\0';
            conn_fail(c, error.code, error.err, error.message);
        }
        return;
    }
    p->state = PROC_RUNNING;
    guest.running++;
    if (c != NULL) {
        spawned(p, c);
    }
}
