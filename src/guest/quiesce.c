// Quiesce: before a dump nothing may be open but the listener and the processes' pipes and terminals.
// Release or identity lets held output flow again; an attach does not, as other readers may be on their way.
#include <signal.h>

#include "guest.h"

// A write that waits for a busy disk cannot be killed before the disk has it.
#define HELPER_DEADLINE_MS 8000
// So long has one to take away what it has not finished.
#define HELPER_GRACE_MS 2000
#define DEFAULT_HOLD_MS 10000
#define LONGEST_TICK_MS 250

static void hold_followed(int64_t hold_ms) {
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        bool starting = p->spawner != NULL && (p->spawner->request.flags & SPAWN_NO_ATTACH) == 0;
        if ((p->readers > 0 || starting) && !p->dead) {
            p->held = true;
        }
    }
    guest.hold_left = hold_ms;
    guest.hold_tick = now_ms();
}

static void drop_others(const struct conn *self) {
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        p->killer = NULL;
    }
    for (struct conn *c = guest.conns; c != NULL; c = c->next) {
        if (c != self) {
            conn_drop(c, false);
        }
    }
}

void op_quiesce(struct conn *c) {
    uint32_t hold_ms = c->request.millis;
    hold_followed(hold_ms != 0 ? (int64_t)hold_ms : DEFAULT_HOLD_MS);
    drop_others(c);
    helpers_signal(HELPER_CUT);
    guest.quiescing = c;
    guest.quiesce_deadline = now_ms() + HELPER_DEADLINE_MS;
}

void op_release(struct conn *c) {
    proc_lift_holds();
    conn_ok(c);
}

static void answer(struct conn *c) {
    uint32_t held = 0;
    for (const struct proc *p = guest.procs; p != NULL; p = p->next) {
        held += p->held ? 1 : 0;
    }
    size_t mark = frame_begin(&c->out, FRAME_OK);
    put_u32(&c->out, guest.running);
    put_u32(&c->out, held);
    frame_end(&c->out, mark);
    conn_done(c);
}

// From the answer on, and running time only: a step as long as a freeze, or a clock that jumps at a restore, counts as
// one tick.
static void count_hold(int64_t now) {
    int64_t step = now - guest.hold_tick;
    guest.hold_tick = now;
    if (guest.hold_left <= 0 || guest.quiescing != NULL) {
        return;
    }
    step = step < 0 ? 0 : step;
    guest.hold_left -= step > LONGEST_TICK_MS ? LONGEST_TICK_MS : step;
    if (guest.hold_left <= 0) {
        proc_lift_holds();
    }
}

void quiesce_tick(int64_t now) {
    struct conn *c = guest.quiescing;
    if (c != NULL && guest.helper_count == 0 && guest.starting == 0) {
        guest.quiescing = NULL;
        answer(c);
    } else if (c != NULL && now >= guest.quiesce_deadline) {
        guest.quiescing = NULL;
        proc_lift_holds();
        conn_fail(c, E_BUSY, 0, "quiesce: a file operation or a spawn does not end");
    } else if (c != NULL && now >= guest.quiesce_deadline - HELPER_DEADLINE_MS + HELPER_GRACE_MS) {
        helpers_signal(SIGKILL);
    }
    count_hold(now);
}
