// The median time of one madvise(MADV_DONTNEED), in nanoseconds, of which the pages are touched before.
// argv: pages, mappings that the process has besides, and a memory file if the range is mapped from one.
#include <time.h>

#include "restored.h"

#define ROUNDS 2001

static int by_value(const void *a, const void *b) {
    const long *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// Mapped anew from the file each time: what is replaced is anonymous from then on.
static long timed(uint8_t *p, size_t bytes, int fd) {
    struct timespec a, b;
    if (fd >= 0) {
        CHECK(mmap(p, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == p);
    }
    memset(p, 1, bytes);
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK(madvise(p, bytes, MADV_DONTNEED) == 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
}

int main(int argc, char **argv) {
    static long times[ROUNDS];
    CHECK(argc == 3 || argc == 4);
    size_t bytes = strtoul(argv[1], NULL, 10) * PAGE;
    int fd = argc == 4 ? open(argv[3], O_RDONLY) : -1;
    for (unsigned long i = strtoul(argv[2], NULL, 10); i > 0; i--) {
        CHECK(mmap(NULL, PAGE, i % 2 == 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    }
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < ROUNDS; i++) {
        times[i] = timed(p, bytes, fd);
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    printf("%ld\n", times[ROUNDS / 2]);
    return 0;
}
