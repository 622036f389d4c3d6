// One thread under ptrace: stopped, made to call close, and let go as if nothing had been.
#ifndef RAMET_MEMORYD_TRACEE_H
#define RAMET_MEMORYD_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

// sys/ptrace.h gives these names different types in each C library.
enum {
    TRACE_POKE = 5,
    TRACE_CONT = 7,
    TRACE_GETREGS = 12,
    TRACE_SETREGS = 13,
    TRACE_DETACH = 17,
    TRACE_SYSCALL = 24,
    TRACE_SETOPTIONS = 0x4200,
    TRACE_SEIZE = 0x4206,
    TRACE_INTERRUPT = 0x4207,
    TRACE_GETSIGMASK = 0x420a,
    TRACE_SETSIGMASK = 0x420b,
    TRACE_RSEQ = 0x420f,
};

struct tracee {
    pid_t pid, tid;
    int64_t deadline;
    struct user_regs_struct regs;
    uint64_t mask, rseq_at, rseq_value;
    uint64_t instruction;
    int mem;
    // It could not be begun with, because another process traces it.
    bool traced;
    const char *reason;
};

// False with reason set, and the thread as it was. When it could not even be stopped in time it is still
// being traced: only the end of this process lets it go.
bool tracee_begin(struct tracee *t);
// The second half of it, for a thread that has been seized and interrupted.
bool tracee_stopped(struct tracee *t);
// False when the thread is gone.
bool tracee_call(struct tracee *t, uint64_t number, const uint64_t arguments[6], uint64_t *result);
bool tracee_close(struct tracee *t, int fd);
void tracee_end(struct tracee *t);

// code.c: the address of a system call instruction in the thread's memory, 0 if there is none.
uint64_t code_find(const struct tracee *t);

// stops.c
enum stop { STOP_EVENT, STOP_SYSCALL, STOP_SIGNAL, STOP_GONE, STOP_LATE };
enum stop stop_wait(pid_t tid, int64_t deadline, int *signal);
long trace(int request, pid_t tid, unsigned long address, const void *data);

#endif
