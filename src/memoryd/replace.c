// Puts anonymous memory in the place of a memory file's, where that is much: it frees memory, where writing
// zeros takes some. Only the process itself can map, so the thread that asked is made to, after its call and
// before it goes on.
#include "replace.h"

#include <sys/mman.h>

#include "target.h"
#include "tracee.h"

#define MOST_RANGES 64u
#define RESTART (-512)
#define NO_DEADLINE (INT64_MAX / 2)

static struct {
    unsigned count;
    struct range {
        uint64_t start, end;
        unsigned protection;
    } ranges[MOST_RANGES];
} plan;

void replace_reset(void) {
    plan.count = 0;
}

bool replace_any(void) {
    return plan.count > 0;
}

bool replace_plan(uint64_t start, uint64_t end, unsigned protection) {
    if (end - start < options.replace_from || plan.count == MOST_RANGES) {
        return false;
    }
    plan.ranges[plan.count++] = (struct range){start, end, protection};
    return true;
}

bool replace_by_zeros(const struct notif *n, int listener) {
    struct target t = {.pid = (pid_t)n->pid, .listener = listener, .id = n->id, .mem = -1, .pagemap = -1};
    bool done = target_open(&t);
    for (unsigned i = 0; done && i < plan.count; i++) {
        done = fill_zero(&t, plan.ranges[i].start, plan.ranges[i].end);
    }
    target_close(&t);
    return done;
}

bool replace_seize(const struct notif *n) {
    // 32-bit code would need another instruction.
    return n->arch == ARCH_X86_64 && trace(TRACE_SEIZE, (pid_t)n->pid, 0, NULL) == 0
        && trace(TRACE_INTERRUPT, (pid_t)n->pid, 0, NULL) == 0;
}

static void map_all(struct tracee *t) {
    // No listener: it does not wait, but stands still.
    struct target target = {.pid = t->tid, .listener = -1, .mem = t->mem, .pagemap = -1};
    for (unsigned i = 0; i < plan.count; i++) {
        const struct range *r = &plan.ranges[i];
        const uint64_t arguments[6] = {r->start, r->end - r->start, r->protection,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0ull, 0};
        uint64_t result = 0;
        if (!tracee_call(t, SYS_mmap, arguments, &result)) {
            return;
        }
        // Too many mappings, for one.
        if (result != r->start) {
            fill_zero(&target, r->start, r->end);
        }
    }
}

// The interrupt may have been faster than the answer. Then the call is about to restart, and is ended here
// instead: it would only be asked about and interrupted again.
void replace_run(const struct notif *n, bool answered, int result) {
    struct tracee t = {.pid = (pid_t)n->pid, .tid = (pid_t)n->pid, .deadline = NO_DEADLINE, .mem = -1};
    if (!tracee_stopped(&t)) {
        return;
    }
    bool restarts = t.regs.rip == n->ip && (int64_t)t.regs.rax == RESTART && (int)t.regs.orig_rax == n->nr;
    if (answered || restarts) {
        map_all(&t);
    }
    if (restarts && !answered) {
        t.regs.rax = (uint64_t)-(int64_t)result;
        t.regs.orig_rax = ~0ull;
    }
    tracee_end(&t);
}
