// What a notification asks for, by the caller's system call table.
#include "target.h"

#include <errno.h>

enum call { CALL_OTHER, CALL_ADVISE, CALL_ADVISE_BY_PIDFD, CALL_REMAP };

static enum call call_of(const struct notif *n) {
    if (n->arch == ARCH_I386) {
        return n->nr == 219   ? CALL_ADVISE
            : n->nr == 440 ? CALL_ADVISE_BY_PIDFD
            : n->nr == 163 ? CALL_REMAP
                           : CALL_OTHER;
    }
    switch (n->arch == ARCH_X86_64 ? n->nr & ~X32_BIT : -1) {
    case 28:
        return CALL_ADVISE;
    case 440:
        return CALL_ADVISE_BY_PIDFD;
    case 25:
        return CALL_REMAP;
    default:
        return CALL_OTHER;
    }
}

static bool drops(unsigned advice) {
    return advice == ADVICE_DONTNEED || advice == ADVICE_DONTNEED_LOCKED;
}

static int answer_advise(const struct notif *n, int listener) {
    uint64_t start = n->args[0], length = n->args[1];
    unsigned advice = (unsigned)n->args[2];
    uint64_t rounded = (length + PAGE - 1) & ~(PAGE - 1);
    // What the kernel refuses, or does nothing for, is left to it.
    if (start % PAGE != 0 || rounded < length || start + rounded < start || rounded == 0) {
        return CONTINUE;
    }
    if (drops(advice)) {
        return answer_drop(n, listener, start, start + rounded, advice);
    }
    if (advice != ADVICE_FREE && advice != ADVICE_GUARD_INSTALL) {
        return CONTINUE;
    }
    if (!touches_ours((pid_t)n->pid, start, start + rounded)) {
        return CONTINUE;
    }
    // MADV_FREE may take its time for ever. A guard region would uncover the file's bytes when it is removed;
    // old kernels know no guard regions, and callers then use mprotect.
    return advice == ADVICE_FREE ? 0 : EINVAL;
}

// CONTINUE lets the kernel read the arguments and the mappings again, later. Another thread of the same
// process may have changed them by then. It would only cheat itself: this is no border of security, and a
// program that maps and drops one range at once has no defined outcome on any kernel.
int answer(const struct notif *n, int listener) {
    switch (call_of(n)) {
    case CALL_ADVISE:
        return answer_advise(n, listener);
    case CALL_ADVISE_BY_PIDFD:
        // No kernel before 6.13 takes these advices here, and then for the caller alone, so every caller has
        // another way. Doing it would mean reading vectors that can change, for a process that may be another
        // one.
        return drops((unsigned)n->args[3]) ? EINVAL : CONTINUE;
    case CALL_REMAP:
        return answer_remap(n);
    case CALL_OTHER:
        break;
    }
    return CONTINUE;
}
