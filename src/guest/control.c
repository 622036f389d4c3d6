// Short operations on one process or all: input in one piece, signals, size, listing, forgetting.
#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "guest.h"
#include "users.h"

static struct proc *find(struct conn *c, bool running) {
    const struct request *q = &c->request;
    if (q->pid == 0 && q->tag[0] == '\0') {
        conn_fail(c, E_INVALID, 0, "neither pid nor tag given");
        return NULL;
    }
    struct proc *p = proc_target(q);
    if (p == NULL || (running && p->state != PROC_RUNNING)) {
        conn_fail(c, E_NO_SUCH_PROCESS, 0, p == NULL ? "no such process" : "the process has exited");
        return NULL;
    }
    return p;
}

static void fill_stdin(struct conn *c) {
    struct proc *p = proc_target(&c->request);
    if (p == NULL || p->state != PROC_RUNNING) {
        conn_fail(c, E_NO_SUCH_PROCESS, 0, "stdin: the process has exited");
    } else if (!proc_takes_input(p)) {
        conn_fail(c, E_CLOSED, EPIPE, "stdin: not open");
    } else if (proc_has_room(p)) {
        proc_input(p, c->request.value, c->request.value_len);
        if (c->request.eof != 0 && proc_takes_input(p)) {
            proc_input_end(p);
        }
        conn_ok(c);
    }
}

static const struct role role_stdin = {.fill = fill_stdin};

void op_stdin(struct conn *c) {
    if (find(c, true) != NULL) {
        c->role = &role_stdin;
    }
}

void op_signal(struct conn *c) {
    const struct request *q = &c->request;
    struct proc *p = find(c, true);
    if (p == NULL) {
        return;
    }
    if (kill(q->group != 0 ? -p->pid : p->pid, q->signo) == 0) {
        conn_ok(c);
    } else {
        conn_fail_errno(c, errno, "signal");
    }
}

void op_resize(struct conn *c) {
    const struct request *q = &c->request;
    struct proc *p = find(c, true);
    if (p == NULL) {
        return;
    }
    struct winsize size = {.ws_row = q->rows, .ws_col = q->cols};
    if (!p->pty || q->rows == 0 || q->cols == 0) {
        conn_fail(c, E_INVALID, 0, p->pty ? "resize: no rows or columns" : "resize: not a terminal");
    } else if (p->out[0] < 0 || ioctl(p->out[0], TIOCSWINSZ, &size) != 0) {
        conn_fail(c, E_CLOSED, EPIPE, "resize: the terminal is closed");
    } else {
        conn_ok(c);
    }
}

void op_forget(struct conn *c) {
    struct proc *p = find(c, false);
    if (p == NULL) {
        return;
    }
    if (p->state != PROC_EXITED) {
        conn_fail(c, E_BUSY, 0, "forget: the process is running");
        return;
    }
    readers_lost(p);
    p->dead = true;
    guest.exited--;
    conn_ok(c);
}

static uint8_t flags_of(const struct proc *p) {
    unsigned flags = (p->pty ? 1u : 0u) | (proc_takes_input(p) ? 2u : 0u);
    flags |= p->out[0] >= 0 || p->out[1] >= 0 ? 4u : 0u;
    flags |= (p->argv_cut ? 8u : 0u) | (p->held ? 16u : 0u);
    return (uint8_t)flags;
}

static void put_process(struct buf *b, const struct proc *p) {
    size_t mark = frame_begin(b, FRAME_PROCESS);
    put_u64(b, p->id);
    put_u32(b, (uint32_t)p->pid);
    put_u8(b, (uint8_t)p->state);
    put_u8(b, flags_of(p));
    put_u16(b, (uint16_t)p->readers);
    put_u64(b, (uint64_t)p->started_ms);
    put_u64(b, p->ring.oldest);
    put_u64(b, p->ring.end);
    put_exit_record(b, p, p->ring.end);
    put_str(b, p->tag);
    put_str(b, p->user);
    put_str(b, p->cwd);
    put_u32(b, p->argc);
    buf_put(b, p->argv.data, buf_size(&p->argv));
    frame_end(b, mark);
}

// One process at a time, found again by its number: the table may change while the host reads slowly.
static void fill_list(struct conn *c) {
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        if (p->id > c->list_after && !p->dead) {
            c->list_after = p->id;
            c->list_sent++;
            put_process(&c->out, p);
            return;
        }
    }
    size_t mark = frame_begin(&c->out, FRAME_END);
    put_u32(&c->out, c->list_sent);
    frame_end(&c->out, mark);
    conn_done(c);
}

static const struct role role_list = {.fill = fill_list};

void op_list(struct conn *c) {
    size_t mark = frame_begin(&c->out, FRAME_OK);
    put_u32(&c->out, guest.running + guest.exited + guest.starting);
    frame_end(&c->out, mark);
    c->role = &role_list;
}

bool user_of_request(struct conn *c, struct user *user) {
    struct user_files files;
    user_files_load(&files);
    bool found = user_find(&files, c->request.user, user);
    user_files_free(&files);
    if (!found) {
        conn_fail(c, E_NO_SUCH_USER, 0, "no such user or group");
    }
    return found;
}

void op_user(struct conn *c) {
    struct user user;
    if (!user_of_request(c, &user)) {
        return;
    }
    size_t mark = frame_begin(&c->out, FRAME_OK);
    put_u32(&c->out, user.uid);
    put_u32(&c->out, user.gid);
    put_str(&c->out, user.name);
    put_str(&c->out, user.home);
    put_str(&c->out, user.shell);
    frame_end(&c->out, mark);
    conn_done(c);
}
