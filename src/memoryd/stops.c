// Waiting for a traced thread to stop, with a deadline.
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "memoryd.h"
#include "tracee.h"

#define EVENT_OF_STOP 128u
// A main thread that another one replaces by an exec vanishes without a signal.
#define LOOK_AGAIN_MS 20

// The raw call: what the C libraries declare differs, and so does what they do with `data`.
long trace(int request, pid_t tid, unsigned long address, const void *data) {
    return syscall(SYS_ptrace, (long)request, (long)tid, address, data);
}

// Not the macros of sys/wait.h: musl's WIFSTOPPED multiplies, which overflows for SIGTRAP|0x80 and aborts
// under -ftrapv.
static enum stop kind(unsigned status, int *signal) {
    unsigned stopped_by = status >> 8 & 0xff;
    if ((status & 0xff) != 0x7f) {
        return STOP_GONE;
    }
    *signal = (int)(stopped_by & 0x7f);
    if (status >> 16 == EVENT_OF_STOP) {
        return STOP_EVENT;
    }
    return stopped_by == (SIGTRAP | 0x80) ? STOP_SYSCALL : STOP_SIGNAL;
}

// SIGCHLD is blocked here, so that one which comes between the two calls ends the second.
enum stop stop_wait(pid_t tid, int64_t deadline, int *signal) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(tid, &status, __WALL | WNOHANG);
        if (pid == tid) {
            return kind((unsigned)status, signal);
        }
        int64_t left = deadline - now_ms();
        if (pid < 0 && errno != EINTR) {
            return STOP_GONE;
        }
        if (left <= 0) {
            return STOP_LATE;
        }
        struct timespec wait = {.tv_nsec = (left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS) * 1000000};
        sigtimedwait(&child, NULL, &wait);
    }
}
