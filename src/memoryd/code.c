// Finds a `syscall` instruction in a thread's memory. Nothing is ever written there.
#include <stdio.h>
#include <string.h>

#include "memoryd.h"
#include "tracee.h"

#define MOST_CODE (4ull << 20)

static const uint8_t instruction[2] = {0x0f, 0x05};

static uint64_t find_in(int mem, uint64_t start, uint64_t end) {
    uint8_t page[PAGE + 1];
    end = end - start > MOST_CODE ? start + MOST_CODE : end;
    for (uint64_t at = start; at < end; at += PAGE) {
        size_t want = end - at > PAGE ? PAGE + 1 : PAGE;
        ssize_t n = pread(mem, page, want, (off_t)at);
        const uint8_t *found = n < 2 ? NULL : memmem(page, (size_t)n, instruction, sizeof instruction);
        if (found != NULL) {
            return at + (uint64_t)(found - page);
        }
    }
    return 0;
}

static bool interrupted_call(const struct tracee *t) {
    uint8_t bytes[2];
    return (int64_t)t->regs.orig_rax >= 0
        && pread(t->mem, bytes, sizeof bytes, (off_t)(t->regs.rip - 2)) == (ssize_t)sizeof bytes
        && memcmp(bytes, instruction, sizeof bytes) == 0;
}

// The vdso has some; without one, any library or program does.
static uint64_t search(const struct tracee *t, FILE *maps, bool vdso) {
    char line[512], mode[8];
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) != 3 || mode[2] != 'x'
            || vdso != (strstr(line, "[vdso]") != NULL) || strstr(line, "[vsyscall]") != NULL) {
            continue;
        }
        uint64_t found = find_in(t->mem, start, end);
        if (found != 0) {
            return found;
        }
    }
    return 0;
}

uint64_t code_find(const struct tracee *t) {
    char path[64];
    if (interrupted_call(t)) {
        return t->regs.rip - 2;
    }
    snprintf(path, sizeof path, "/proc/%d/task/%d/maps", t->pid, t->tid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL) {
        return 0;
    }
    uint64_t found = search(t, maps, true);
    rewind(maps);
    found = found != 0 ? found : search(t, maps, false);
    fclose(maps);
    return found;
}
