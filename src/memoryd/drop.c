// MADV_DONTNEED on a range with memory files in it: afterwards their pages read as zeros, which is what the
// kernel does for the anonymous memory that they stand for.
#include <errno.h>

#include "replace.h"
#include "target.h"

static struct maps maps;

// Whether the kernel's own way would bring a file's bytes back. Holes read as zeros, so it is right for them,
// and it frees their memory. True as well when the mappings cannot be read.
static bool uncovers(pid_t pid, uint64_t start, uint64_t end) {
    struct mapping m;
    bool found = false;
    int status = 1;
    for (uint64_t at = start; !found && at < end; at = m.end) {
        status = maps_at(&maps, at, &m);
        if (status != 1 || m.start >= end) {
            break;
        }
        if (m.ours) {
            uint64_t from = m.start > at ? m.start : at, low, high;
            int file = extent_file(pid, &m);
            found = extent_next(file, &m, from, end < m.end ? end : m.end, &low, &high);
        }
    }
    return found || status < 0;
}

// Replaced memory would not be locked any more.
static bool may_replace;

static bool drop_ours(struct target *t, const struct mapping *m, int file, uint64_t start, uint64_t end) {
    uint64_t at = start, low, high;
    // With what holes there are in it: it becomes one mapping.
    if (may_replace && extent_next(file, m, at, end, &low, &high) && replace_plan(start, end, m->protection)) {
        return true;
    }
    while (at < end && extent_next(file, m, at, end, &low, &high)) {
        if (!fill_present(t, at, low, -1, 0) || !fill_zero(t, low, high)) {
            return false;
        }
        at = high;
    }
    return fill_present(t, at, end, -1, 0);
}

static bool drop_in(struct target *t, const struct mapping *m, uint64_t start, uint64_t end) {
    // Shared memory belongs to others too: dropping pages of it changes nothing that can be read.
    if (m->shared) {
        return true;
    }
    if (!m->has_file) {
        return fill_present(t, start, end, -1, 0);
    }
    int file = extent_file(t->pid, m);
    return m->ours ? drop_ours(t, m, file, start, end)
                   : fill_present(t, start, end, file, m->offset + (start - m->start));
}

// In the kernel's order and with its results: it stops at a locked mapping, and goes on over a gap.
static int drop(struct target *t, uint64_t start, uint64_t end, unsigned advice) {
    bool may_be_locked = advice == ADVICE_DONTNEED && maps_any_locked(t->pid);
    struct mapping m;
    may_replace = advice == ADVICE_DONTNEED;
    int result = 0, found = 1;
    uint64_t at = start;
    while (at < end && (found = maps_at(&maps, at, &m)) == 1 && m.start < end) {
        uint64_t from = m.start > at ? m.start : at, to = m.end < end ? m.end : end;
        if (from > at) {
            result = ENOMEM;
        }
        if (may_be_locked && maps_locked(t->pid, m.start)) {
            return EINVAL;
        }
        if (!drop_in(t, &m, from, to)) {
            return EAGAIN;
        }
        at = to;
    }
    return found < 0 ? EAGAIN : at < end ? ENOMEM : result;
}

int answer_drop(const struct notif *n, int listener, uint64_t start, uint64_t end, unsigned advice) {
    struct target t = {.pid = (pid_t)n->pid, .listener = listener, .id = n->id, .mem = -1, .pagemap = -1};
    if (!maps_open(&maps, t.pid)) {
        return EAGAIN;
    }
    int result = CONTINUE;
    // The pid may have been another's when its files were opened, unless it still waits now.
    if (target_waits(&t) && uncovers(t.pid, start, end)) {
        bool ready = maps_rewind(&maps) && target_open(&t);
        result = ready ? drop(&t, start, end, advice) : EAGAIN;
        target_close(&t);
    }
    extents_forget();
    maps_close(&maps);
    return result;
}
