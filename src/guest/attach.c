// Readers: a connection that follows the output of one process from a position of its own.
#include <signal.h>

#include "guest.h"

#define OUTPUT_STEP (32u * 1024u)

static void put_exit(struct conn *c, const struct proc *p, uint64_t seq) {
    size_t mark = frame_begin(&c->out, FRAME_EXIT);
    put_exit_record(&c->out, p, seq);
    frame_end(&c->out, mark);
    conn_done(c);
}

static void put_output(struct conn *c) {
    struct reader *r = &c->reader;
    struct ring *ring = &r->proc->ring;
    uint64_t end = r->has_stop && r->stop < ring->end ? r->stop : ring->end;
    size_t left = end - r->cursor < OUTPUT_STEP ? (size_t)(end - r->cursor) : OUTPUT_STEP;
    uint8_t stream;
    size_t n = ring_read(ring, r->cursor, scratch, left, &stream);
    size_t mark = frame_begin(&c->out, FRAME_OUTPUT);
    put_u64(&c->out, r->cursor);
    put_u8(&c->out, stream);
    buf_put(&c->out, scratch, n);
    frame_end(&c->out, mark);
    r->cursor += n;
}

static void fill(struct conn *c) {
    struct reader *r = &c->reader;
    struct proc *p = r->proc;
    // Nothing is waiting to be sent, so all before the cursor has left.
    r->floor = r->cursor;
    if (p->drained && !r->has_stop) {
        r->has_stop = true;
        r->stop = p->exit_seq > r->cursor ? p->exit_seq : r->cursor;
    }
    if (r->has_stop && r->cursor >= r->stop) {
        put_exit(c, p, r->cursor);
    } else if (r->cursor < p->ring.end) {
        put_output(c);
    }
}

static enum verdict on_frame(struct conn *c, const struct frame *f) {
    struct proc *p = c->reader.proc;
    bool empty_end = f->type == FRAME_STDIN_EOF && f->len == 0;
    if (!c->reader.input || (f->type != FRAME_STDIN && !empty_end)) {
        conn_fail(c, E_PROTOCOL, 0, "no such frame expected here");
        return TAKEN;
    }
    if (!proc_takes_input(p)) {
        return TAKEN;
    }
    if (!proc_has_room(p)) {
        return PARKED;
    }
    if (empty_end) {
        proc_input_end(p);
    } else {
        proc_input(p, f->payload, f->len);
    }
    return TAKEN;
}

static void gone(struct conn *c, bool by_host) {
    struct proc *p = c->reader.proc;
    if (by_host && p->killer == c && p->state == PROC_RUNNING) {
        kill(-p->pid, SIGKILL);
    }
    p->readers--;
    c->reader.proc = NULL;
}

const struct role role_reader = {.frame = on_frame, .fill = fill, .gone = gone};

// Replies OK and follows p from a position between the oldest kept byte and the end.
void reader_start(struct conn *c, struct proc *p, uint64_t from) {
    uint64_t dropped = from < p->ring.oldest ? p->ring.oldest - from : 0;
    uint64_t start = from + dropped;
    c->reader.proc = p;
    c->reader.floor = c->reader.cursor = start;
    if (p->drained) {
        c->reader.has_stop = true;
        c->reader.stop = p->ring.end;
    }
    c->role = &role_reader;
    p->readers++;
    p->drain_deadline = 0;
    size_t mark = frame_begin(&c->out, FRAME_OK);
    put_u32(&c->out, (uint32_t)p->pid);
    put_u64(&c->out, start);
    put_u64(&c->out, dropped);
    frame_end(&c->out, mark);
}

void op_attach(struct conn *c) {
    const struct request *q = &c->request;
    struct proc *p = proc_target(q);
    if (p == NULL) {
        conn_fail(c, E_NO_SUCH_PROCESS, 0, "attach: no such process");
        return;
    }
    if (q->from == FROM_SEQ && q->seq > p->ring.end) {
        conn_fail(c, E_INVALID, 0, "attach: seq is beyond the end of the output");
        return;
    }
    uint64_t starts[] = {[FROM_NOW] = p->ring.end, [FROM_OLDEST] = 0, [FROM_SEQ] = q->seq};
    c->reader.input = (q->flags & ATTACH_STDIN) != 0;
    if ((q->flags & ATTACH_KILL_ON_CLOSE) != 0) {
        p->killer = c;
    }
    reader_start(c, p, starts[q->from]);
}

static void fill_wait(struct conn *c) {
    if (c->reader.proc == NULL) {
        conn_fail(c, E_NO_SUCH_PROCESS, 0, "wait: the process was forgotten");
    } else if (c->reader.proc->state == PROC_EXITED) {
        put_exit(c, c->reader.proc, c->reader.proc->ring.end);
    }
}

static void gone_wait(struct conn *c, bool by_host) {
    (void)by_host;
    c->reader.proc = NULL;
}

static const struct role role_wait = {.fill = fill_wait, .gone = gone_wait};

void op_wait(struct conn *c) {
    struct proc *p = proc_target(&c->request);
    if (p == NULL) {
        conn_fail(c, E_NO_SUCH_PROCESS, 0, "wait: no such process");
        return;
    }
    // A waiter holds back no output: its floor is out of reach.
    c->reader = (struct reader){.proc = p, .floor = UINT64_MAX};
    c->role = &role_wait;
    size_t mark = frame_begin(&c->out, FRAME_OK);
    put_u32(&c->out, (uint32_t)p->pid);
    frame_end(&c->out, mark);
}

// p is about to go: whoever follows it is cut off.
void readers_lost(struct proc *p) {
    for (struct conn *c = guest.conns; c != NULL; c = c->next) {
        if (!c->dead && c->reader.proc == p) {
            conn_drop(c, false);
        }
    }
}
