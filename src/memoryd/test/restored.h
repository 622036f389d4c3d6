// A program that behaves as one restored from a checkpoint: the filter is there, and its listener in its
// table.
#ifndef RAMET_MEMORYD_TEST_RESTORED_H
#define RAMET_MEMORYD_TEST_RESTORED_H

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("FAILED line %d: %s (errno %d, %s)\n", __LINE__, #condition, errno, strerror(errno));     \
            fflush(stdout);                                                                                  \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(at))
#define LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define HIGH(n) (LOW(n) + 4)
#define EQUAL(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(k), (yes), (no))

// madvise(DONTNEED, DONTNEED_LOCKED, FREE, GUARD_INSTALL), process_madvise, mremap that grows or has flags.
static inline int install_filter(unsigned long flags) {
    static struct sock_filter code[] = {
        LOAD(offsetof(struct seccomp_data, arch)),
        EQUAL(AUDIT_ARCH_X86_64, 0, 24),
        LOAD(offsetof(struct seccomp_data, nr)),
        EQUAL(SYS_madvise, 2, 0),
        EQUAL(SYS_process_madvise, 6, 0),
        EQUAL(SYS_mremap, 8, 20),
        LOAD(LOW(2)), // 6: madvise
        EQUAL(4, 19, 0),
        EQUAL(24, 18, 0),
        EQUAL(8, 17, 0),
        EQUAL(102, 16, 15),
        LOAD(LOW(3)), // 11: process_madvise
        EQUAL(4, 14, 0),
        EQUAL(24, 13, 12),
        LOAD(HIGH(1)), // 14: mremap, old size against new size
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        LOAD(HIGH(2)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 9, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 4),
        LOAD(LOW(1)),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        LOAD(LOW(2)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 4, 0),
        LOAD(LOW(3)), // 23: flags
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 6, 2, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), // 26
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &program);
    CHECK(fd >= 0);
    return fd;
}

static inline void say_line(const char *line) {
    printf("%s\n", line);
    fflush(stdout);
}

// Tells the test that all is ready, and waits until it has adopted this process.
static inline void wait_for_go(void) {
    char byte = 0;
    say_line("ready");
    while (byte != '\n') {
        CHECK(read(0, &byte, 1) == 1);
    }
}

static inline unsigned count_listeners(void) {
    char path[64], link[64];
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof path, "/proc/thread-self/fd/%d", fd);
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n > 0 ? n : 0] = '\0';
        count += strcmp(link, "anon_inode:seccomp notify") == 0;
    }
    return count;
}

#endif
