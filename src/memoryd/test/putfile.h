// Puts the memory of this process into a file and maps it from there, as a checkpoint and a restore do.
#ifndef RAMET_MEMORYD_TEST_PUTFILE_H
#define RAMET_MEMORYD_TEST_PUTFILE_H

#include "restored.h"

static char maps[1 << 19];

static off_t write_pages(int file, off_t at, uint64_t start, uint64_t end) {
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (size_t i = 0; i < (end - start) / PAGE; i++) {
        const char *page = (const char *)(uintptr_t)(start + i * PAGE);
        uint64_t entry;
        CHECK(pread(fd, &entry, sizeof entry, (off_t)((start / PAGE + i) * sizeof entry)) == (ssize_t)sizeof entry);
        if (entry >> 62 != 0) {
            CHECK(pwrite(file, page, PAGE, at + (off_t)(i * PAGE)) == (ssize_t)PAGE);
        }
    }
    close(fd);
    CHECK(ftruncate(file, at + (off_t)(end - start)) == 0);
    return at + (off_t)(end - start);
}

// Every private and anonymous mapping that can be read, but the stack. Nothing may be allocated here.
static unsigned put_into_file(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int list = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t n;
    off_t at = 0;
    unsigned count = 0;
    CHECK(file >= 0 && list >= 0);
    while ((n = read(list, maps + length, sizeof maps - 1 - length)) > 0) {
        length += (size_t)n;
    }
    for (char *line = maps, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *rest;
        *end = '\0';
        uint64_t low = strtoull(line, &rest, 16), high = strtoull(rest + 1, &rest, 16);
        bool anonymous = strstr(rest, " 00:00 0 ") != NULL || strcmp(end - 8, " 00:00 0") == 0;
        if (rest[1] != 'r' || rest[4] != 'p' || !anonymous || strstr(rest, "[stack") != NULL || strstr(rest, "[v") != NULL) {
            continue;
        }
        off_t next = write_pages(file, at, low, high);
        void *place = (void *)(uintptr_t)low;
        int protection = PROT_READ | (rest[2] == 'w' ? PROT_WRITE : 0) | (rest[3] == 'x' ? PROT_EXEC : 0);
        CHECK(mmap(place, high - low, protection, MAP_PRIVATE | MAP_FIXED, file, at) == place);
        at = next;
        count++;
    }
    close(list);
    close(file);
    return count;
}

#endif
