// The thread that waits for an answer, its memory, and the mappings in it.
#ifndef RAMET_MEMORYD_TARGET_H
#define RAMET_MEMORYD_TARGET_H

#include "memoryd.h"

// proc.c: a descriptor of /proc/PID/NAME.
int proc_open(pid_t pid, const char *name, int flags);

struct target {
    pid_t pid;
    int listener;
    uint64_t id;
    // -1 until they are needed.
    int mem, pagemap;
};

// Whether the thread still waits: only then its pid is its own, and its memory is as it left it.
// Whether this kernel lets /proc/PID/mem write where the process itself may not.
bool fill_possible(void);

bool target_waits(const struct target *t);
bool target_open(struct target *t);
void target_close(const struct target *t);

struct mapping {
    uint64_t start, end, offset;
    // As for mmap.
    unsigned protection;
    // has_file: it has an inode. ours: a private mapping of a memory file.
    bool shared, has_file, ours;
};

struct maps {
    int fd;
    bool plain;
    // plain: what has been read and not parsed, and the mapping that was parsed last.
    struct mapping last;
    size_t at, length;
    char text[2 * MAX_PATH_LENGTH];
};

bool maps_open(struct maps *m, pid_t pid);
void maps_close(struct maps *m);
// The first mapping that ends above address: 1, or 0 if there is none, or -1. Addresses must not decrease.
int maps_at(struct maps *m, uint64_t address, struct mapping *out);
// Addresses may start from anywhere again.
bool maps_rewind(struct maps *m);
// Whether the process has locked memory, and whether it is the mapping at start.
bool maps_any_locked(pid_t pid);
bool maps_locked(pid_t pid, uint64_t start);

// extents.c: where a mapping's file has data. fd -1, one that cannot be looked at, is taken for a file
// without holes. The file is the callee's, and open until the next one or until all is forgotten.
int extent_file(pid_t pid, const struct mapping *m);
void extents_forget(void);
bool extent_next(int fd, const struct mapping *m, uint64_t from, uint64_t end, uint64_t *low, uint64_t *high);

// fill.c. False: not all of it could be written, or the thread does not wait any more.
bool fill_zero(const struct target *t, uint64_t start, uint64_t end);
// Only pages of the process's own. file is -1, or what they come back from.
bool fill_present(struct target *t, uint64_t start, uint64_t end, int file, uint64_t offset);

// answer.c: 0, an errno, or CONTINUE for letting the kernel do the call.
#define CONTINUE (-1)
int answer(const struct notif *n, int listener);

// drop.c and remap.c
int answer_drop(const struct notif *n, int listener, uint64_t start, uint64_t length, unsigned advice);
int answer_remap(const struct notif *n);
// Whether any mapping of ours is in the range; also true when that cannot be found out.
bool touches_ours(pid_t pid, uint64_t start, uint64_t end);

#endif
