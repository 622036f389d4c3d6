// mremap of a mapping of ours.
#include <errno.h>

#include "target.h"

bool touches_ours(pid_t pid, uint64_t start, uint64_t end) {
    static struct maps maps;
    struct mapping m;
    bool found = false;
    int status = 1;
    if (!maps_open(&maps, pid)) {
        return true;
    }
    for (uint64_t at = start; !found && at < end; at = m.end) {
        status = maps_at(&maps, at, &m);
        if (status != 1 || m.start >= end) {
            break;
        }
        found = m.ours;
    }
    maps_close(&maps);
    return found || status < 0;
}

// Growth would go on in the file, or beyond its end, where anonymous memory reads zeros: ENOMEM, which every
// allocator answers with a new mapping and a copy. MREMAP_DONTUNMAP would leave the file's bytes where zeros
// have to be: EINVAL, as before Linux 5.13 for any mapping with a file. A move alone takes its pages along
// and is harmless.
int answer_remap(const struct notif *n) {
    uint64_t start = n->args[0], flags = n->args[3];
    uint64_t old = (n->args[1] + PAGE - 1) & ~(PAGE - 1), new = (n->args[2] + PAGE - 1) & ~(PAGE - 1);
    bool stays = (flags & REMAP_DONTUNMAP) != 0;
    if (start % PAGE != 0 || old == 0 || new == 0 || start + old < start || (flags & ~(uint64_t)REMAP_ALL_FLAGS) != 0
        || (!stays && new <= old)) {
        return CONTINUE;
    }
    if (!touches_ours((pid_t)n->pid, start, start + old)) {
        return CONTINUE;
    }
    return stays ? EINVAL : ENOMEM;
}
