// Who has which filter, and who asks when. argv: the case.
#include <pthread.h>

#include "restored.h"

static void read_line(void) {
    char byte = 0;
    while (byte != '\n') {
        CHECK(read(0, &byte, 1) == 1);
    }
}

static void *advise(void *argument) {
    long *failed = argument;
    uint8_t *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 7, 4 * PAGE);
    *failed = madvise(p, 4 * PAGE, MADV_DONTNEED) != 0 || p[0] != 0;
    return NULL;
}

// It has asked before anybody was there to answer.
static void wait_asking(void) {
    long failed = -1;
    advise(&failed);
    // It is answered before its listener is closed.
    read_line();
    CHECK(failed == 0 && count_listeners() == 0);
}

static pthread_barrier_t all_have_filters;

static void *with_own_filter(void *argument) {
    install_filter(0);
    pthread_barrier_wait(&all_have_filters);
    pthread_barrier_wait(&all_have_filters);
    return advise(argument);
}

static void wait_own_filters(void) {
    pthread_t threads[8];
    long failed[8];
    pthread_barrier_init(&all_have_filters, NULL, 9);
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, with_own_filter, &failed[i]) == 0);
    }
    pthread_barrier_wait(&all_have_filters);
    wait_for_go();
    CHECK(count_listeners() == 0);
    pthread_barrier_wait(&all_have_filters);
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0 && failed[i] == 0);
    }
}

static void *wait_and_advise(void *argument) {
    pthread_barrier_wait(&all_have_filters);
    return advise(argument);
}

static void wait_one_filter(void) {
    pthread_t threads[8];
    long failed[8];
    pthread_barrier_init(&all_have_filters, NULL, 9);
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_create(&threads[i], NULL, wait_and_advise, &failed[i]) == 0);
    }
    install_filter(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
    wait_for_go();
    CHECK(count_listeners() == 0);
    pthread_barrier_wait(&all_have_filters);
    for (int i = 0; i < 8; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0 && failed[i] == 0);
    }
}

// Asks one thing for each line that it is sent.
static void wait_on_demand(void) {
    for (;;) {
        long failed = -1;
        wait_for_go();
        advise(&failed);
        CHECK(failed == 0);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
    bool makes_filter;
} cases[] = {
    {"asking", wait_asking, false},
    {"own_filters", wait_own_filters, true},
    {"one_filter", wait_one_filter, true},
    {"on_demand", wait_on_demand, false},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            if (!cases[i].makes_filter) {
                install_filter(0);
                say_line("started");
            }
            cases[i].run();
            say_line("ok");
            return 0;
        }
    }
    printf("FAILED: no such case\n");
    return 2;
}
