// Where the file of a mapping has data, and where holes.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "target.h"

// The file that was opened last, for as long as one notification is answered: looking and filling go over the
// same mappings, and opening one costs more than both.
static struct {
    bool known;
    int fd;
    uint64_t start, end;
} opened;

void extents_forget(void) {
    if (opened.known && opened.fd >= 0) {
        close(opened.fd);
    }
    opened.known = false;
}

// Through map_files, since its name means something in the sandbox's mount namespace only. Opening a device
// could do anything, so what is there is looked at first.
static int open_file(pid_t pid, const struct mapping *m) {
    char path[80];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/map_files/%llx-%llx", pid, (unsigned long long)m->start,
             (unsigned long long)m->end);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return -1;
    }
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int extent_file(pid_t pid, const struct mapping *m) {
    if (!opened.known || opened.start != m->start || opened.end != m->end) {
        extents_forget();
        opened.known = true;
        opened.fd = open_file(pid, m);
        opened.start = m->start;
        opened.end = m->end;
    }
    return opened.fd;
}

// The next data in the mapping at from or above it, as addresses of whole pages below end.
bool extent_next(int fd, const struct mapping *m, uint64_t from, uint64_t end, uint64_t *low, uint64_t *high) {
    *low = from;
    *high = end;
    if (fd < 0) {
        return from < end;
    }
    uint64_t base = m->start - m->offset;
    off_t data = lseek(fd, (off_t)(from - base), SEEK_DATA);
    if (data < 0) {
        // ENXIO: nothing but a hole. Anything else says nothing, so there may be data.
        return errno != ENXIO && from < end;
    }
    off_t hole = lseek(fd, data, SEEK_HOLE);
    uint64_t first = (base + (uint64_t)data) & ~(PAGE - 1);
    *low = first > from ? first : from;
    if (hole > data) {
        uint64_t last = (base + (uint64_t)hole + PAGE - 1) & ~(PAGE - 1);
        *high = last < end ? last : end;
    }
    return *low < end;
}
