// Reads and replaces small files by directory descriptor.
#include "safefile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int safe_directory(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_regular(int dir, const char *name, int flags) {
    struct stat st;
    int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

char *safe_read(int dir, const char *name, size_t most) {
    int fd = open_regular(dir, name, O_RDONLY);
    char *text = fd < 0 ? NULL : malloc(most + 1);
    if (text != NULL) {
        ssize_t n = read(fd, text, most);
        text[n > 0 ? n : 0] = '\0';
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

static bool write_and_close(int fd, const void *data, size_t n) {
    bool whole = write(fd, data, n) == (ssize_t)n;
    return close(fd) == 0 && whole;
}

static bool write_in_place(int dir, const char *name, const void *data, size_t n) {
    int fd = open_regular(dir, name, O_WRONLY);
    if (fd < 0) {
        return false;
    }
    if (ftruncate(fd, 0) != 0) {
        close(fd);
        return false;
    }
    return write_and_close(fd, data, n);
}

bool safe_write(int dir, const char *name, const void *data, size_t n, mode_t mode) {
    char temporary[64];
    if (dir < 0) {
        return false;
    }
    snprintf(temporary, sizeof temporary, ".%.40s.ramet", name);
    unlinkat(dir, temporary, 0);
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ready = fd >= 0 && fchmod(fd, mode) == 0;
    ready = fd >= 0 && write_and_close(fd, data, n) && ready;
    if (ready && renameat(dir, temporary, dir, name) == 0) {
        return true;
    }
    unlinkat(dir, temporary, 0);
    return write_in_place(dir, name, data, n);
}
