// Stops a thread anywhere, also inside a system call that waits, and makes it do a system call. Its
// registers, signal mask and restartable sequence are put back while it stands in a stop from which the
// kernel looks at them again, so that an interrupted call restarts as after any stop.
#include "tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "memoryd.h"

#define SYSGOOD 0x1ul
// The sandbox's own filters do not apply to our call. Only set while the thread stands still: between two of
// our stops nothing but that call runs, so no madvise gets past the filter that this is all about.
#define SUSPEND_SECCOMP 0x200000ul
#define CODE_SEGMENT_64 0x33
#define MASK_BYTES 8ul

struct rseq_configuration {
    uint64_t at;
    uint32_t size, signature, flags, padding;
};

static bool lost(struct tracee *t, const char *reason) {
    t->reason = reason;
    return false;
}

// On to the next stop of the wanted kind. Signals are blocked, so one that still stops the thread is SIGSTOP,
// or was on its way already: it is delivered.
static bool run_to(struct tracee *t, enum stop wanted, int request) {
    int signal = 0, deliver = 0;
    for (;;) {
        if (request != 0 && trace(request, t->tid, 0, (void *)(intptr_t)deliver) != 0) {
            return lost(t, "ended");
        }
        enum stop stop = stop_wait(t->tid, t->deadline, &signal);
        if (stop == wanted) {
            return true;
        }
        if (stop == STOP_GONE || stop == STOP_LATE) {
            return lost(t, stop == STOP_GONE ? "ended" : "does not stop");
        }
        deliver = stop == STOP_SIGNAL ? signal : 0;
        request = request == 0 ? TRACE_CONT : request;
    }
}

static void save_rseq(struct tracee *t) {
    struct rseq_configuration c = {0};
    t->rseq_value = 0;
    if (trace(TRACE_RSEQ, t->tid, sizeof c, &c) != (long)sizeof c || c.at == 0) {
        return;
    }
    // struct rseq, rseq_cs. The kernel clears it when the thread leaves for code outside of the sequence.
    t->rseq_at = c.at + 8;
    if (pread(t->mem, &t->rseq_value, sizeof t->rseq_value, (off_t)t->rseq_at)
        != (ssize_t)sizeof t->rseq_value) {
        t->rseq_value = 0;
    }
}

static bool prepare(struct tracee *t) {
    if (trace(TRACE_SETOPTIONS, t->tid, 0, (void *)(SYSGOOD | SUSPEND_SECCOMP)) != 0
        && trace(TRACE_SETOPTIONS, t->tid, 0, (void *)SYSGOOD) != 0) {
        return lost(t, "ended");
    }
    if (trace(TRACE_GETREGS, t->tid, 0, &t->regs) != 0) {
        return lost(t, "ended");
    }
    if (t->regs.cs != CODE_SEGMENT_64) {
        return lost(t, "runs 32-bit code");
    }
    t->instruction = code_find(t);
    if (t->instruction == 0) {
        return lost(t, "has no system call instruction");
    }
    uint64_t all = ~0ull;
    save_rseq(t);
    if (trace(TRACE_GETSIGMASK, t->tid, MASK_BYTES, &t->mask) != 0
        || trace(TRACE_SETSIGMASK, t->tid, MASK_BYTES, &all) != 0) {
        return lost(t, "ended");
    }
    return true;
}

bool tracee_begin(struct tracee *t) {
    t->reason = NULL;
    t->traced = trace(TRACE_SEIZE, t->tid, 0, NULL) != 0;
    if (t->traced) {
        t->traced = errno == EPERM;
        return lost(t, t->traced ? "is traced by another process, or is a zombie" : "ended");
    }
    return trace(TRACE_INTERRUPT, t->tid, 0, NULL) == 0 ? tracee_stopped(t) : lost(t, "ended");
}

bool tracee_stopped(struct tracee *t) {
    char path[64];
    if (!run_to(t, STOP_EVENT, 0)) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%d/mem", t->tid);
    t->mem = open(path, O_RDWR | O_CLOEXEC);
    if (t->mem < 0 || !prepare(t)) {
        trace(TRACE_DETACH, t->tid, 0, NULL);
        if (t->mem >= 0) {
            close(t->mem);
        }
        return lost(t, t->reason == NULL ? "its memory cannot be opened" : t->reason);
    }
    return true;
}

bool tracee_call(struct tracee *t, uint64_t number, const uint64_t arguments[6], uint64_t *result) {
    struct user_regs_struct regs = t->regs;
    regs.rip = t->instruction;
    regs.rax = number;
    regs.rdi = arguments[0];
    regs.rsi = arguments[1];
    regs.rdx = arguments[2];
    regs.r10 = arguments[3];
    regs.r8 = arguments[4];
    regs.r9 = arguments[5];
    // Says that no call was interrupted: else the kernel would restart one on the way to ours.
    regs.orig_rax = ~0ull;
    if (trace(TRACE_SETREGS, t->tid, 0, &regs) != 0 || !run_to(t, STOP_SYSCALL, TRACE_SYSCALL)
        || !run_to(t, STOP_SYSCALL, TRACE_SYSCALL) || trace(TRACE_GETREGS, t->tid, 0, &regs) != 0) {
        return false;
    }
    *result = regs.rax;
    return true;
}

bool tracee_close(struct tracee *t, int fd) {
    const uint64_t arguments[6] = {(unsigned)fd};
    uint64_t result = 0;
    return tracee_call(t, SYS_close, arguments, &result);
}

// The end of a system call is too late for putting back registers that ask for a restart: nobody looks at
// them there. The stop after an interrupt is the right place, and comes before any instruction of the
// thread's own.
void tracee_end(struct tracee *t) {
    if (trace(TRACE_INTERRUPT, t->tid, 0, NULL) == 0 && run_to(t, STOP_EVENT, TRACE_CONT)) {
        trace(TRACE_SETREGS, t->tid, 0, &t->regs);
        trace(TRACE_SETSIGMASK, t->tid, MASK_BYTES, &t->mask);
        if (t->rseq_value != 0) {
            ssize_t n = pwrite(t->mem, &t->rseq_value, sizeof t->rseq_value, (off_t)t->rseq_at);
            (void)n;
        }
        trace(TRACE_DETACH, t->tid, 0, NULL);
    }
    close(t->mem);
}
