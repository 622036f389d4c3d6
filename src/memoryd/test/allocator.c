// An allocator after a restore: the memory of a running program, with arenas of several threads, is put into
// a file and mapped from it, as a checkpoint and a restore do. Then it allocates on, and everything that it
// gets has to be right. argv: the memory file to make. With another allocator preloaded, that one is tried.
#include <pthread.h>
#include <time.h>

#include "putfile.h"

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
