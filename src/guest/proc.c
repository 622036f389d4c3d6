// The table of processes: added at spawn, looked up by target, kept for a while after their exit.
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define MAX_ARGV_KEPT 4096u
#define MAX_ARGC_KEPT 256u
#define DEFAULT_RING 65536u
#define MIN_RING 4096u

static void keep_argv(struct proc *p, const struct list *argv) {
    char *s = argv->first;
    for (uint32_t i = 0; i < argv->count; i++, s = list_next(s)) {
        size_t n = strlen(s);
        if (buf_size(&p->argv) + n > MAX_ARGV_KEPT || p->argc == MAX_ARGC_KEPT) {
            p->argv_cut = true;
            return;
        }
        put_bytes(&p->argv, s, n);
        p->argc++;
    }
}

static uint32_t ring_size(uint32_t asked) {
    uint32_t size = MIN_RING;
    while (size < (asked == 0 ? DEFAULT_RING : asked)) {
        size *= 2;
    }
    return size;
}

// The record alone, not yet in the table. NULL without memory.
struct proc *proc_new(const struct request *q) {
    struct proc *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->out[0] = p->out[1] = p->in = p->error_pipe = -1;
    p->tag = strdup(q->tag);
    p->user = strdup(q->user);
    p->cwd = strdup(q->cwd);
    keep_argv(p, &q->argv);
    if (p->tag == NULL || p->user == NULL || p->cwd == NULL || p->argv.failed
        || !ring_init(&p->ring, ring_size(q->ring))) {
        proc_remove(p);
        return NULL;
    }
    guest.ring_total += p->ring.cap;
    p->pty = (q->flags & SPAWN_PTY) != 0;
    p->started_ms = wall_ms();
    return p;
}

// Frees everything the record holds; the caller has unlinked it.
void proc_remove(struct proc *p) {
    for (struct conn *c = guest.conns; c != NULL; c = c->next) {
        c->reader.proc = c->reader.proc == p ? NULL : c->reader.proc;
    }
    proc_close_output(p, 0);
    proc_close_output(p, 1);
    proc_close_input(p);
    if (p->error_pipe >= 0) {
        close(p->error_pipe);
    }
    guest.ring_total -= p->ring.cap;
    ring_free(&p->ring);
    buf_free(&p->input);
    buf_free(&p->argv);
    free(p->tag);
    free(p->user);
    free(p->cwd);
    free(p);
}

// A tag means the running process that has it, else the newest one that had it.
struct proc *proc_target(const struct request *q) {
    struct proc *best = NULL;
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        if (p->dead || p->state == PROC_STARTING) {
            continue;
        }
        bool match = q->pid != 0 ? (uint32_t)p->pid == q->pid
                                 : q->tag[0] != '\0' && strcmp(p->tag, q->tag) == 0;
        if (match && (best == NULL || best->state == PROC_EXITED || p->state == PROC_RUNNING)) {
            best = p;
        }
    }
    return best;
}

static void note_pending(struct proc *p) {
    for (int i = 0; i < 2; i++) {
        int n = 0;
        bool known = !p->pty && p->out[i] >= 0 && ioctl(p->out[i], FIONREAD, &n) == 0;
        p->drain_left[i] = known && n > 0 ? (size_t)n : 0;
    }
}

void proc_exited(struct proc *p, int status, const struct rusage *usage) {
    p->reaped = true;
    p->wait_status = status;
    p->usage = *usage;
    p->ended_ms = wall_ms();
    if (p->state == PROC_STARTING) {
        spawn_resolve(p);
    }
    if (p->state != PROC_RUNNING) {
        return;
    }
    p->state = PROC_EXITED;
    guest.running--;
    guest.exited++;
    note_pending(p);
    buf_free(&p->input);
    proc_close_input(p);
    p->drain_deadline = 0;
    proc_limit_exited();
}

static bool evictable(const struct proc *p, bool closed_only) {
    bool open = p->out[0] >= 0 || p->out[1] >= 0;
    return p->state == PROC_EXITED && !p->dead && p->drained && p->readers == 0 && !p->held
        && !(closed_only && open);
}

// Those whose grandchildren still write are spared as long as others can go.
void proc_limit_exited(void) {
    for (int closed_only = 1; closed_only >= 0; closed_only--) {
        for (struct proc *p = guest.procs; p != NULL && guest.exited > MAX_EXITED; p = p->next) {
            if (evictable(p, closed_only != 0)) {
                p->dead = true;
                guest.exited--;
            }
        }
    }
}

void procs_sweep(void) {
    for (struct proc **at = &guest.procs; *at != NULL;) {
        struct proc *p = *at;
        if (p->dead) {
            *at = p->next;
            proc_remove(p);
        } else {
            at = &p->next;
        }
    }
}

void proc_lift_holds(void) {
    guest.hold_left = 0;
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        p->held = false;
        p->drain_deadline = 0;
    }
}

static uint64_t micros(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void put_exit_record(struct buf *b, const struct proc *p, uint64_t seq) {
    if (p->state != PROC_EXITED) {
        static const uint8_t zeros[48];
        buf_put(b, zeros, sizeof zeros);
        return;
    }
    bool signalled = WIFSIGNALED(p->wait_status);
    int code = signalled ? WTERMSIG(p->wait_status) : WEXITSTATUS(p->wait_status);
    put_u8(b, signalled);
    put_u8(b, signalled && WCOREDUMP(p->wait_status));
    put_u16(b, 0);
    put_u32(b, (uint32_t)code);
    put_u64(b, seq);
    put_u64(b, micros(p->usage.ru_utime));
    put_u64(b, micros(p->usage.ru_stime));
    put_u64(b, (uint64_t)p->usage.ru_maxrss);
    put_u64(b, (uint64_t)p->ended_ms);
}
