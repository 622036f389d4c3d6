// Random calls, compared with what they are to do. Part of memory.c.
#ifndef RAMET_MEMORYD_TEST_MODEL_H
#define RAMET_MEMORYD_TEST_MODEL_H

struct model {
    uint8_t *base, bytes[ALL], fresh[ALL];
    enum { ZEROED, SHARED, GAP } kinds[ALL];
};

static void set(struct model *m, size_t from, size_t to, int kind, const uint8_t *bytes, uint8_t fresh) {
    for (size_t i = from; i < to; i++) {
        m->kinds[i] = (unsigned)kind;
        m->bytes[i] = bytes != NULL ? bytes[i - from] : fresh;
        m->fresh[i] = fresh;
    }
}

static void make_model(struct model *m) {
    uint8_t bytes[FILE_PAGES];
    for (size_t i = 0; i < FILE_PAGES; i++) {
        bytes[i] = byte_of(i);
    }
    m->base = mmap(NULL, ALL * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(m->base != MAP_FAILED);
    set(m, 0, ALL, ZEROED, NULL, 0);
    map(memory_file, m->base + 64 * PAGE, FILE_PAGES, 0, PROT_READ | PROT_WRITE);
    set(m, 64, 256, ZEROED, bytes, 0);
    CHECK(munmap(m->base + 256 * PAGE, 16 * PAGE) == 0);
    set(m, 256, 272, GAP, NULL, 0);
    map(other_file, m->base + 272 * PAGE, 32, 0, PROT_READ | PROT_WRITE);
    set(m, 272, 304, ZEROED, NULL, OTHER);
    CHECK(mmap(m->base + 304 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
               -1, 0) != MAP_FAILED);
    set(m, 304, 320, SHARED, NULL, 0);
    map(memory_file, m->base + 320 * PAGE, 80, 100, PROT_READ | PROT_WRITE);
    set(m, 320, 400, ZEROED, bytes + 100, 0);
}

static void drop(struct model *m, size_t from, size_t to) {
    bool gap = false;
    for (size_t i = from; i < to; i++) {
        gap = gap || m->kinds[i] == GAP;
        m->bytes[i] = m->kinds[i] == ZEROED ? m->fresh[i] : m->bytes[i];
    }
    int result = madvise(m->base + from * PAGE, (to - from) * PAGE, MADV_DONTNEED);
    CHECK(gap ? result == -1 && errno == ENOMEM : result == 0);
}

static void case_random(void) {
    static struct model m;
    make_model(&m);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 12; i++) {
            size_t page = (size_t)rand() % ALL;
            if (m.kinds[page] != GAP) {
                m.bytes[page] = (uint8_t)rand();
                memset(m.base + page * PAGE, m.bytes[page], PAGE);
            }
        }
        size_t from = (size_t)rand() % ALL;
        size_t most = rand() % 2 == 0 ? 8 : 300;
        size_t to = from + 1 + (size_t)rand() % most;
        drop(&m, from, to < ALL ? to : ALL);
        if (round % 60 == 59) {
            munmap(m.base, ALL * PAGE);
            make_model(&m);
        }
        for (size_t i = 0; i < ALL; i++) {
            CHECK(m.kinds[i] == GAP || filled(m.base + i * PAGE, m.bytes[i]));
        }
    }
}

#endif
