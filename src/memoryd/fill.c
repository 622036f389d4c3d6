// Writes into the memory of the thread that waits. /proc/PID/mem also writes to private mappings that the
// process itself may only read, or not even that: allocators take their memory away before they give it back.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "target.h"

#define CHUNK (64 * PAGE)
#define ENTRIES 512u
#define PRESENT (1ull << 63)
#define SWAPPED (1ull << 62)
#define OF_FILE (1ull << 61)

// Not const: so it takes no room in the program.
static uint8_t zeros[CHUNK];

bool target_waits(const struct target *t) {
    uint64_t id = t->id;
    if (t->listener < 0) {
        return true;
    }
    return kernel_ioctl(t->listener, NOTIF_ID_VALID, &id) == 0;
}

bool target_open(struct target *t) {
    t->mem = proc_open(t->pid, "mem", O_RDWR);
    return t->mem >= 0 && target_waits(t);
}

static bool open_pagemap(struct target *t) {
    if (t->pagemap < 0) {
        t->pagemap = proc_open(t->pid, "pagemap", O_RDONLY);
    }
    return t->pagemap >= 0 && target_waits(t);
}

void target_close(const struct target *t) {
    if (t->mem >= 0) {
        close(t->mem);
    }
    if (t->pagemap >= 0) {
        close(t->pagemap);
    }
}

// Kernels can be told to refuse that (proc_mem.force_override).
bool fill_possible(void) {
    void *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct target self = {.pid = getpid(), .mem = -1, .pagemap = -1};
    if (page == MAP_FAILED) {
        return false;
    }
    self.mem = proc_open(self.pid, "mem", O_RDWR);
    bool possible = self.mem >= 0 && pwrite(self.mem, zeros, 1, (off_t)(uintptr_t)page) == 1;
    target_close(&self);
    munmap(page, PAGE);
    return possible;
}

// Beyond the file's end, or a guard: the process cannot read it either, so there is nothing to clear.
static bool unreadable(const struct target *t, uint64_t at) {
    uint8_t byte;
    return pread(t->mem, &byte, 1, (off_t)at) != 1;
}

// A signal may end the wait at any time, after which the process may use this memory again; so it is asked
// before each chunk, and a filter that waits killable once it is received leaves no gap at all.
static bool write_all(const struct target *t, uint64_t at, const uint8_t *bytes, uint64_t n) {
    while (n > 0) {
        if (!target_waits(t)) {
            return false;
        }
        ssize_t written = pwrite(t->mem, bytes, n, (off_t)at);
        uint64_t done = written > 0 ? (uint64_t)written : 0;
        if (done == 0) {
            uint64_t rest = PAGE - at % PAGE;
            if (!unreadable(t, at)) {
                return false;
            }
            done = rest < n ? rest : n;
        }
        at += done;
        bytes += done;
        n -= done;
    }
    return true;
}

bool fill_zero(const struct target *t, uint64_t start, uint64_t end) {
    for (uint64_t at = start; at < end; at += CHUNK) {
        if (!write_all(t, at, zeros, end - at < CHUNK ? end - at : CHUNK)) {
            return false;
        }
    }
    return true;
}

static bool fill_page(const struct target *t, uint64_t at, int file, uint64_t offset) {
    uint8_t page[PAGE] = {0};
    // What is behind the file's last byte reads as zeros, in its last page.
    if (file >= 0 && pread(file, page, sizeof page, (off_t)offset) < 0) {
        return false;
    }
    return write_all(t, at, page, sizeof page);
}

bool fill_present(struct target *t, uint64_t start, uint64_t end, int file, uint64_t offset) {
    static uint64_t entries[ENTRIES];
    if (start < end && !open_pagemap(t)) {
        return false;
    }
    for (uint64_t at = start; at < end;) {
        uint64_t pages = (end - at) / PAGE < ENTRIES ? (end - at) / PAGE : ENTRIES;
        ssize_t n = pread(t->pagemap, entries, pages * sizeof *entries, (off_t)(at / PAGE * sizeof *entries));
        if (n < (ssize_t)sizeof *entries) {
            return false;
        }
        for (size_t i = 0; i < (size_t)n / sizeof *entries; i++, at += PAGE) {
            bool own = (entries[i] & (PRESENT | SWAPPED)) != 0 && (entries[i] & OF_FILE) == 0;
            if (own && !fill_page(t, at, file, offset + (at - start))) {
                return false;
            }
        }
    }
    return true;
}
