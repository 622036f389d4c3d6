// A process's pipes: output into the ring as far as readers allow, pending input out of the queue.
#include <errno.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

#define READ_STEP (32u * 1024u)
#define PTY_DRAIN_MS 100
#define AWAY_MS 100
#define STREAM_STDOUT 1
#define STREAM_STDERR 2
#define STREAM_PTY 3
#define WHICH_INPUT 2
#define WHICH_ERROR 3

static uint8_t stream_of(const struct proc *p, int which) {
    if (p->pty) {
        return STREAM_PTY;
    }
    return which == 0 ? STREAM_STDOUT : STREAM_STDERR;
}

// The oldest byte that an attached reader still needs; the end where nobody reads.
uint64_t proc_floor(const struct proc *p) {
    uint64_t floor = p->ring.end;
    if (p->readers == 0) {
        return floor;
    }
    for (const struct conn *c = guest.conns; c != NULL; c = c->next) {
        if (!c->dead && c->reader.proc == p && c->reader.floor < floor) {
            floor = c->reader.floor;
        }
    }
    return floor;
}

static size_t room_for(const struct proc *p, int which) {
    return p->held ? 0 : ring_room(&p->ring, stream_of(p, which), proc_floor(p));
}

void proc_close_output(struct proc *p, int which) {
    if (p->out[which] >= 0) {
        close(p->out[which]);
    }
    p->out[which] = -1;
    p->drain_left[which] = 0;
    if (p->pty && which == 0) {
        p->in = -1;
        buf_free(&p->input);
    }
}

static void read_output(struct proc *p, int which) {
    size_t room = room_for(p, which);
    if (room == 0) {
        return;
    }
    ssize_t n = read(p->out[which], scratch, room < READ_STEP ? room : READ_STEP);
    if (n > 0) {
        ring_append(&p->ring, stream_of(p, which), scratch, (size_t)n);
        size_t left = p->drain_left[which];
        p->drain_left[which] = (size_t)n < left ? left - (size_t)n : 0;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        // EIO is how a pty says that its last other end is closed.
        if (p->pty && !p->reaped) {
            p->away_until = now_ms() + AWAY_MS;
        } else {
            proc_close_output(p, which);
        }
    }
}

// Closing the pty would end its session by SIGHUP, and a living process may open its terminal again.
static bool is_away(struct proc *p) {
    if (p->away_until != 0 && (p->reaped || now_ms() >= p->away_until)) {
        p->away_until = 0;
    }
    return p->away_until != 0;
}

bool proc_takes_input(const struct proc *p) {
    return p->state == PROC_RUNNING && p->in >= 0 && !p->input_end;
}

bool proc_has_room(const struct proc *p) {
    return buf_size(&p->input) < MAX_PENDING_INPUT;
}

// A pty's input is its output's descriptor, which stays.
void proc_close_input(struct proc *p) {
    if (!p->pty && p->in >= 0) {
        close(p->in);
    }
    p->in = -1;
    buf_free(&p->input);
}

static void write_input(struct proc *p) {
    while (p->in >= 0 && buf_size(&p->input) > 0) {
        ssize_t n = write(p->in, buf_front(&p->input), buf_size(&p->input));
        if (n > 0) {
            buf_drop(&p->input, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            return;
        } else {
            proc_close_input(p);
        }
    }
    if (p->input_end && buf_size(&p->input) == 0) {
        proc_close_input(p);
    }
}

void proc_input(struct proc *p, const uint8_t *data, size_t n) {
    buf_put(&p->input, data, n);
    // Out of memory: these bytes are lost, but later ones need not be.
    p->input.failed = false;
    write_input(p);
}

void proc_input_end(struct proc *p) {
    struct termios mode;
    if (!p->pty) {
        p->input_end = true;
        write_input(p);
        return;
    }
    bool known = tcgetattr(p->in, &mode) == 0 && mode.c_cc[VEOF] != 0;
    uint8_t end = known ? mode.c_cc[VEOF] : 4;
    proc_input(p, &end, 1);
}

static void proc_ready(void *owner, int which, short events) {
    struct proc *p = owner;
    if (which == WHICH_ERROR) {
        // Reaping, earlier in the same round, may have settled it already.
        if (p->error_pipe >= 0) {
            spawn_resolve(p);
        }
    } else if (which == WHICH_INPUT) {
        write_input(p);
    } else {
        if (p->pty && (events & POLLOUT) != 0) {
            write_input(p);
        }
        if (p->out[which] >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
            read_output(p, which);
        }
    }
}

void proc_prepare(struct proc *p) {
    bool pending = buf_size(&p->input) > 0;
    if (p->state == PROC_STARTING) {
        poll_add(p->error_pipe, POLLIN, proc_ready, p, WHICH_ERROR);
        return;
    }
    for (int i = 0; i < 2; i++) {
        int events = room_for(p, i) > 0 ? POLLIN : 0;
        events |= p->pty && pending ? POLLOUT : 0;
        // Without events poll would still report a hang-up, again and again.
        if (p->out[i] >= 0 && events != 0 && !is_away(p)) {
            poll_add(p->out[i], (short)events, proc_ready, p, i);
        }
    }
    if (!p->pty && p->in >= 0 && pending) {
        poll_add(p->in, POLLOUT, proc_ready, p, WHICH_INPUT);
    }
}

static bool pty_quiet(struct proc *p) {
    int64_t now = now_ms();
    if (p->out[0] < 0) {
        return true;
    }
    if (room_for(p, 0) == 0 || p->drain_deadline == 0) {
        p->drain_deadline = now + PTY_DRAIN_MS;
    }
    return now >= p->drain_deadline;
}

// Decides when the output of an exited process counts as complete.
void proc_check_drained(struct proc *p) {
    if (!p->reaped || p->drained || p->state != PROC_EXITED || p->held) {
        return;
    }
    bool quiet = p->pty ? pty_quiet(p) : p->drain_left[0] == 0 && p->drain_left[1] == 0;
    if (quiet) {
        p->drained = true;
        p->exit_seq = p->ring.end;
        proc_limit_exited();
    }
}
