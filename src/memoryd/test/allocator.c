// An allocator after a restore: the memory of a running program, with arenas of several threads, is put into a file and
// mapped from it, as a checkpoint and a restore do. Then it allocates on, and everything that it gets has to be right.
// argv: the memory file to make. With another allocator preloaded, that one is tried.
#include <pthread.h>
#include <time.h>

#include "restored.h"

#define THREADS 4
#define SLOTS 400
#define LARGEST (600ul * 1024)

struct slot {
    uint8_t *bytes;
    size_t size;
    uint8_t value;
};

static struct slot slots[THREADS][SLOTS];
static pthread_barrier_t barrier;
static char maps[1 << 18];
static uint64_t page_map[1 << 16];

static void check(const struct slot *s) {
    for (size_t i = 0; i < s->size; i++) {
        if (s->bytes[i] != s->value) {
            printf("FAILED: byte %zu of %zu is %u, not %u\n", i, s->size, s->bytes[i], s->value);
            fflush(stdout);
            _exit(1);
        }
    }
}

static size_t any_size(unsigned *seed) {
    unsigned kind = (unsigned)rand_r(seed) % 10;
    return 1 + (size_t)rand_r(seed) % (kind == 0 ? LARGEST : kind < 4 ? 40000 : 600);
}

static void replace(struct slot *s, unsigned *seed) {
    size_t size = any_size(seed);
    check(s);
    if (rand_r(seed) % 4 == 0 && s->bytes != NULL) {
        uint8_t *bytes = realloc(s->bytes, size);
        CHECK(bytes != NULL);
        s->bytes = bytes;
        s->size = s->size < size ? s->size : size;
        check(s);
    } else {
        free(s->bytes);
        s->bytes = calloc(1, size);
        CHECK(s->bytes != NULL);
        s->size = size;
        s->value = 0;
        check(s);
    }
    s->size = size;
    s->value = (uint8_t)(1 + rand_r(seed) % 255);
    memset(s->bytes, s->value, size);
}

// Much is let go at once now and then, so that the allocator gives memory back.
static void churn(struct slot *mine, unsigned *seed, int rounds) {
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < SLOTS; i++) {
            replace(&mine[(unsigned)rand_r(seed) % SLOTS], seed);
        }
        for (int i = 0; round % 4 == 3 && i < SLOTS; i++) {
            check(&mine[i]);
            free(mine[i].bytes);
            mine[i] = (struct slot){0};
        }
    }
}

static void *work(void *argument) {
    struct slot *mine = argument;
    unsigned seed = (unsigned)(mine - slots[0]) + 1;
    churn(mine, &seed, 3);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    churn(mine, &seed, 24);
    return NULL;
}

static off_t write_pages(int file, off_t at, uint64_t start, uint64_t end) {
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    size_t pages = (end - start) / PAGE, bytes = pages * sizeof *page_map;
    CHECK(fd >= 0 && bytes <= sizeof page_map);
    CHECK(pread(fd, page_map, bytes, (off_t)(start / PAGE * sizeof *page_map)) == (ssize_t)bytes);
    close(fd);
    for (size_t i = 0; i < pages; i++) {
        const char *page = (const char *)(uintptr_t)(start + i * PAGE);
        if (page_map[i] >> 62 != 0) {
            CHECK(pwrite(file, page, PAGE, at + (off_t)(i * PAGE)) == (ssize_t)PAGE);
        }
    }
    CHECK(ftruncate(file, at + (off_t)(end - start)) == 0);
    return at + (off_t)(end - start);
}

// Every private, anonymous, writable mapping but the stack. Nothing may be allocated here.
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
        if (strncmp(rest, " rw-p", 5) != 0 || !anonymous || strstr(rest, "[stack") != NULL
            || (low <= (uintptr_t)page_map && (uintptr_t)page_map < high)) {
            continue;
        }
        off_t next = write_pages(file, at, low, high);
        void *place = (void *)(uintptr_t)low;
        CHECK(mmap(place, high - low, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, at) == place);
        at = next;
        count++;
    }
    close(list);
    close(file);
    return count;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    CHECK(argc == 2);
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    install_filter(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, slots[i]) == 0);
    }
    wait_for_go();
    pthread_barrier_wait(&barrier);
    CHECK(put_into_file(argv[1]) > 2);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    say_line("ok");
    return 0;
}
