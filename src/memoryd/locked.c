// Locked mappings. Looking at smaps makes the kernel walk all page tables, so the sum is looked at first.
#include <stdio.h>
#include <string.h>

#include "target.h"

static FILE *open_of(pid_t pid, const char *name) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return fopen(path, "re");
}

bool maps_any_locked(pid_t pid) {
    FILE *file = open_of(pid, "status");
    char line[256];
    unsigned long kib = 0;
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmLck: %lu", &kib) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib > 0;
}

bool maps_locked(pid_t pid, uint64_t start) {
    FILE *file = open_of(pid, "smaps");
    char line[512];
    bool here = false, locked = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx ", &low, &high) == 2) {
            here = low == start;
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            locked = strstr(line, " lo") != NULL;
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return locked;
}
