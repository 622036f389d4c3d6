// Locked mappings. Looking at smaps makes the kernel walk all page tables, so the sum is looked at first.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

bool maps_any_locked(pid_t pid) {
    static const char name[] = "VmLck:";
    char text[4096];
    int fd = proc_open(pid, "status", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, name);
    // Without the line, looking further is the safe answer.
    return line == NULL || strtoul(line + strlen(name), NULL, 10) > 0;
}

static FILE *open_smaps(pid_t pid) {
    int fd = proc_open(pid, "smaps", O_RDONLY);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL && fd >= 0) {
        close(fd);
    }
    return file;
}

bool maps_locked(pid_t pid, uint64_t start) {
    FILE *file = open_smaps(pid);
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
