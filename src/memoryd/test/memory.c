// What a process finds in its memory after the calls that the filter asks about. argv: the memory file,
// another file, the name of the case. The memory file's page i is filled with i % 250 + 1, but 64 to 127 are
// a hole.
#include <linux/mman.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "restored.h"

#define FILE_PAGES 192ul
#define HOLE_START 64ul
#define HOLE_END 128ul
#define OTHER 0x77
#define ALL 512ul

static const char *memory_file, *other_file;

static uint8_t byte_of(size_t page) {
    return page >= HOLE_START && page < HOLE_END ? 0 : (uint8_t)(page % 250 + 1);
}

static uint8_t *map(const char *path, void *at, size_t pages, size_t offset, int protection) {
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    uint8_t *p = mmap(at, pages * PAGE, protection, MAP_PRIVATE | (at != NULL ? MAP_FIXED : 0), fd,
                      (off_t)(offset * PAGE));
    CHECK(p != MAP_FAILED);
    close(fd);
    return p;
}

static uint8_t *map_memory(size_t pages, size_t offset) {
    return map(memory_file, NULL, pages, offset, PROT_READ | PROT_WRITE);
}

static bool filled(const uint8_t *page, uint8_t byte) {
    for (size_t i = 0; i < PAGE; i++) {
        if (page[i] != byte) {
            printf("byte %zu of a page is %u, not %u\n", i, page[i], byte);
            return false;
        }
    }
    return true;
}

static void check_all(const uint8_t *p, size_t from, size_t to, bool zero) {
    for (size_t i = from; i < to; i++) {
        CHECK(filled(p + i * PAGE, zero ? 0 : byte_of(i)));
    }
}

#include "model.h"

static void case_whole(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    CHECK(madvise(p, FILE_PAGES * PAGE, MADV_DONTNEED) == 0);
    check_all(p, 0, FILE_PAGES, true);
}

static void case_part(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    memset(p + 12 * PAGE, 9, PAGE);
    CHECK(madvise(p + 10 * PAGE, 20 * PAGE, MADV_DONTNEED) == 0);
    check_all(p, 0, 10, false);
    check_all(p, 10, 30, true);
    check_all(p, 30, FILE_PAGES, false);
}

static void case_unaligned_end(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    CHECK(madvise(p, 3 * PAGE + 1, MADV_DONTNEED) == 0);
    check_all(p, 0, 4, true);
    check_all(p, 4, FILE_PAGES, false);
}

static void case_two_mappings(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    map(memory_file, p + 20 * PAGE, 20, 150, PROT_READ);
    CHECK(madvise(p + 10 * PAGE, 20 * PAGE, MADV_DONTNEED) == 0);
    check_all(p, 0, 10, false);
    check_all(p, 10, 30, true);
    for (size_t i = 30; i < 40; i++) {
        CHECK(filled(p + i * PAGE, byte_of(150 + i - 20)));
    }
}

static long resident(const char *name) {
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    CHECK(f != NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = atol(line + strlen(name));
        }
    }
    fclose(f);
    return kib;
}

static void case_hole_frees(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    memset(p + HOLE_START * PAGE, 5, (HOLE_END - HOLE_START) * PAGE);
    long before = resident("Private_Dirty:");
    CHECK(madvise(p + HOLE_START * PAGE, (HOLE_END - HOLE_START) * PAGE, MADV_DONTNEED) == 0);
    CHECK(before - resident("Private_Dirty:") >= (long)(HOLE_END - HOLE_START) * 4 - 16);
    check_all(p, 0, FILE_PAGES, false);
}

static void case_large_frees(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    memset(p, 5, FILE_PAGES * PAGE);
    long before = resident("Private_Dirty:");
    CHECK(madvise(p, FILE_PAGES * PAGE, MADV_DONTNEED) == 0);
    CHECK(before - resident("Private_Dirty:") >= (long)FILE_PAGES * 4 - 16);
    check_all(p, 0, FILE_PAGES, true);
}

static void case_anonymous_frees(void) {
    uint8_t *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 5, 64 * PAGE);
    long before = resident("Private_Dirty:");
    CHECK(madvise(p, 64 * PAGE, MADV_DONTNEED) == 0);
    CHECK(before - resident("Private_Dirty:") >= 64 * 4 - 16);
    check_all(p, 0, 1, true);
}

static void case_protected(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    CHECK(mprotect(p, 4 * PAGE, PROT_NONE) == 0 && mprotect(p + 4 * PAGE, 4 * PAGE, PROT_READ) == 0);
    CHECK(madvise(p, 8 * PAGE, MADV_DONTNEED) == 0);
    CHECK(mprotect(p, 8 * PAGE, PROT_READ | PROT_WRITE) == 0);
    check_all(p, 0, 8, true);
    check_all(p, 8, FILE_PAGES, false);
}

static void case_locked(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    CHECK(mlock(p + 8 * PAGE, 8 * PAGE) == 0);
    CHECK(madvise(p, 20 * PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
    check_all(p, 0, 8, true);
    check_all(p, 8, FILE_PAGES, false);
    CHECK(madvise(p, 20 * PAGE, MADV_DONTNEED_LOCKED) == 0);
    check_all(p, 0, 20, true);
}

static void case_invalid(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    CHECK(madvise(p + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
    CHECK(madvise(p, 0, MADV_DONTNEED) == 0);
    CHECK(madvise(p, (size_t)-1, MADV_DONTNEED) == -1 && errno == EINVAL);
    CHECK(madvise(p, (size_t)-(intptr_t)p & ~(PAGE - 1), MADV_DONTNEED) == -1);
    munmap(p, FILE_PAGES * PAGE);
    CHECK(madvise(p, PAGE, MADV_DONTNEED) == -1 && errno == ENOMEM);
}

static void case_beyond_the_end(void) {
    uint8_t *p = map_memory(FILE_PAGES + 8, 0);
    CHECK(madvise(p, (FILE_PAGES + 8) * PAGE, MADV_DONTNEED) == 0);
    check_all(p, 0, FILE_PAGES, true);
}

static void case_remap(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    uint8_t *free_space = mmap(NULL, 2 * FILE_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p + PAGE, 9, PAGE);
    CHECK(mremap(p, FILE_PAGES * PAGE, 2 * FILE_PAGES * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    CHECK(mremap(p, 4 * PAGE, 8 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, free_space) == MAP_FAILED && errno == ENOMEM);
    CHECK(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED && errno == EINVAL);
    CHECK(filled(p, 1) && filled(p + PAGE, 9));
    CHECK(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, free_space) == free_space);
    CHECK(filled(free_space, 1) && filled(free_space + PAGE, 9) && filled(free_space + 2 * PAGE, 3));
    CHECK(mremap(p + 4 * PAGE, 8 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == p + 4 * PAGE);
    uint8_t *a = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(a, 7, 4 * PAGE);
    a = mremap(a, 4 * PAGE, 400 * PAGE, MREMAP_MAYMOVE);
    CHECK(a != MAP_FAILED && filled(a + 3 * PAGE, 7) && filled(a + 399 * PAGE, 0));
}

// A large chunk is a mapping of its own, which realloc tries to grow in place. It is replaced by one of the
// file, as a restore would have it.
static void case_realloc(void) {
    size_t size = 180 * PAGE;
    uint8_t *p = malloc(size), *start = (uint8_t *)((uintptr_t)p & ~(PAGE - 1));
    CHECK(p != NULL && p - start == 16);
    uint8_t header[16];
    memcpy(header, start, sizeof header);
    map(memory_file, start, 181, 0, PROT_READ | PROT_WRITE);
    memcpy(start, header, sizeof header);
    uint8_t *q = realloc(p, 2 * size);
    CHECK(q != NULL && q != p);
    for (size_t i = 1; i < 180; i++) {
        CHECK(filled(q + i * PAGE - 16, byte_of(i)));
    }
    memset(q + size, 1, size);
}

static void case_other_advice(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    CHECK(madvise(p, 4 * PAGE, MADV_FREE) == 0);
    CHECK(madvise(p, 4 * PAGE, 102) == -1 && errno == EINVAL);
    check_all(p, 0, FILE_PAGES, false);
    struct iovec v = {p, 4 * PAGE};
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    CHECK(syscall(SYS_process_madvise, self, &v, 1, MADV_DONTNEED, 0) == -1 && errno == EINVAL);
    check_all(p, 0, FILE_PAGES, false);
}

static void case_fork(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(madvise(p, 8 * PAGE, MADV_DONTNEED) == 0);
        check_all(p, 0, 8, true);
        check_all(p, 8, FILE_PAGES, false);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    check_all(p, 0, FILE_PAGES, false);
}

static void case_exec(void) {
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "memory", memory_file, other_file, "+random", NULL);
        _exit(2);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *drop_much(void *argument) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    (void)argument;
    for (int i = 0; i < 50; i++) {
        memset(p, 9, 16 * PAGE);
        CHECK(madvise(p, 16 * PAGE, MADV_DONTNEED) == 0);
        check_all(p, 0, 16, true);
        check_all(p, 16, FILE_PAGES, false);
    }
    return NULL;
}

static void case_threads(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, drop_much, NULL) == 0);
    }
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void on_signal(int signal) {
    (void)signal;
}

// A handler that does not ask for restarts. The filter waits killable once it has been received, so a call
// that a signal ends has not been looked at: nothing is changed by it, nor later behind the program's back.
static void drop_under_signals(void) {
    uint8_t *p = map_memory(FILE_PAGES, 0);
    for (int i = 0; i < 300; i++) {
        memset(p, 9, 16 * PAGE);
        bool dropped = madvise(p, 16 * PAGE, MADV_DONTNEED) == 0;
        CHECK(dropped || errno == EINTR);
        for (size_t page = 0; page < 16; page++) {
            CHECK(filled(p + page * PAGE, dropped ? 0 : 9));
        }
    }
}

static void case_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pid_t self = getpid(), pid = fork();
    if (pid == 0) {
        for (;;) {
            kill(self, SIGUSR1);
            usleep(300);
        }
    }
    drop_under_signals();
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0) {
        CHECK(errno == EINTR);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"whole", case_whole},
    {"part", case_part},
    {"unaligned_end", case_unaligned_end},
    {"two_mappings", case_two_mappings},
    {"hole_frees", case_hole_frees},
    {"large_frees", case_large_frees},
    {"anonymous_frees", case_anonymous_frees},
    {"protected", case_protected},
    {"locked", case_locked},
    {"invalid", case_invalid},
    {"beyond_the_end", case_beyond_the_end},
    {"remap", case_remap},
    {"realloc", case_realloc},
    {"other_advice", case_other_advice},
    {"random", case_random},
    {"fork", case_fork},
    {"exec", case_exec},
    {"threads", case_threads},
    {"signals", case_signals},
};

int main(int argc, char **argv) {
    CHECK(argc == 4);
    memory_file = argv[1];
    other_file = argv[2];
    // With a plus the filter is there already, from before an exec.
    bool fresh = argv[3][0] != '+';
    const char *name = argv[3] + !fresh;
    if (fresh) {
        unsigned long flags = strcmp(name, "signals") == 0 ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
        install_filter(flags);
        wait_for_go();
        CHECK(count_listeners() == 0);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            cases[i].run();
            say_line("ok");
            return 0;
        }
    }
    printf("FAILED: no case %s\n", name);
    return 2;
}
