// Shutdown: everybody gets SIGTERM, after the grace SIGKILL; the guest leaves once nobody is left.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"

#define KILL_DEADLINE_MS 2000
#define LAST_WORDS_MS 1000

// kill(-1) reaches the whole sandbox only from its PID 1; elsewhere it would reach far too much.
static void signal_all(int signo) {
    if (getpid() == 1) {
        kill(-1, signo);
        return;
    }
    for (const struct proc *p = guest.procs; p != NULL; p = p->next) {
        if (p->state != PROC_EXITED && p->pid > 0) {
            kill(-p->pid, signo);
        }
    }
}

void shutdown_begin(int64_t grace_ms) {
    int64_t deadline = now_ms() + grace_ms;
    if (guest.shutting_down && guest.term_deadline <= deadline) {
        return;
    }
    guest.shutting_down = true;
    guest.term_deadline = deadline;
    guest.exit_deadline = deadline + KILL_DEADLINE_MS;
    proc_lift_holds();
    signal_all(SIGTERM);
    signal_all(SIGCONT);
}

void op_shutdown(struct conn *c) {
    shutdown_begin((int64_t)c->request.millis);
    conn_ok(c);
}

static bool all_delivered(void) {
    for (const struct conn *c = guest.conns; c != NULL; c = c->next) {
        if (!c->dead && (buf_size(&c->out) > 0 || c->reader.proc != NULL)) {
            return false;
        }
    }
    return true;
}

void shutdown_tick(int64_t now, bool no_children) {
    if (!guest.shutting_down) {
        return;
    }
    if (!guest.killed && !no_children && now >= guest.term_deadline) {
        guest.killed = true;
        signal_all(SIGKILL);
    }
    if (no_children && guest.exit_deadline > now + LAST_WORDS_MS) {
        guest.exit_deadline = now + LAST_WORDS_MS;
    }
    if (now >= guest.exit_deadline || (no_children && all_delivered())) {
        unlink(guest.options.socket);
        exit(0);
    }
}
