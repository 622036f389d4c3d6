// Closes the listeners inside the processes that hold them. This happens in a process of its own: when it
// ends, for whatever reason, the kernel lets go of every thread that it traced, also of one that never
// stopped.
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "memoryd.h"
#include "tracee.h"

#define STOP_MS 500
#define ALL_MS 3000
#define WAIT_MS 6000
// Once a thread runs our call it has to be put back, however long that takes: a sandbox may be frozen just
// then.
#define NO_DEADLINE (INT64_MAX / 2)
#define MAX_AT_ONCE 256u
#define MAX_OTHERS 3

struct numbers {
    const struct listeners *known;
    int pidfd;
    unsigned count;
    int fds[MAX_AT_ONCE];
};

// Only what this program has a copy of: closing the last one would fail every call that waits for an answer.
static bool collect(void *owner, int number) {
    struct numbers *n = owner;
    int fd = table_take(n->pidfd, number);
    if (fd >= 0 && listeners_has(n->known, fd)) {
        n->fds[n->count++] = number;
    }
    if (fd >= 0) {
        close(fd);
    }
    return n->count < MAX_AT_ONCE;
}

static bool close_in(const struct listeners *known, struct tracee *t) {
    static struct numbers n;
    n = (struct numbers){.known = known, .pidfd = table_open(t->pid, t->tid)};
    bool alive = true;
    if (n.pidfd < 0) {
        t->reason = "its descriptors cannot be reached before Linux 6.9";
        return false;
    }
    table_each(t->pid, t->tid, collect, &n);
    close(n.pidfd);
    for (unsigned i = 0; i < n.count && alive; i++) {
        alive = tracee_close(t, n.fds[i]);
    }
    return alive && n.count > 0;
}

// The process that answers has a thread in its hands while it replaces memory, and lets go of it soon.
static bool begin(struct tracee *t) {
    while (!tracee_begin(t)) {
        if (!t->traced || now_ms() >= t->deadline) {
            return false;
        }
        nap_us(200);
    }
    return true;
}

static void close_through(const struct listeners *known, struct holder *h, pid_t tid, int64_t end) {
    int64_t now = now_ms();
    struct tracee t = {.pid = h->pid, .tid = tid, .mem = -1};
    t.deadline = now + STOP_MS < end ? now + STOP_MS : end;
    if (now >= end) {
        h->reason = "had no time left to stop";
        return;
    }
    if (!begin(&t)) {
        h->reason = t.reason;
        return;
    }
    t.deadline = NO_DEADLINE;
    h->closed = close_in(known, &t);
    h->reason = t.reason;
    tracee_end(&t);
}

// Any thread that shares the table will do. One that waits for its vfork child does not stop before it has it
// back.
static void close_in_one(const struct listeners *known, struct holder *h, int64_t end) {
    char path[48];
    close_through(known, h, h->tid, end);
    snprintf(path, sizeof path, "/proc/%d/task", h->pid);
    DIR *dir = h->closed ? NULL : opendir(path);
    if (dir == NULL) {
        return;
    }
    const struct dirent *e;
    for (int tries = 0; tries < MAX_OTHERS && !h->closed && (e = readdir(dir)) != NULL;) {
        pid_t tid = (pid_t)atoi(e->d_name);
        if (tid > 0 && tid != h->tid && table_same(h->tid, tid)) {
            close_through(known, h, tid, end);
            tries++;
        }
    }
    closedir(dir);
}

static void run(const struct listeners *known, struct holder *holders, unsigned count) {
    sigset_t blocked;
    int64_t end = now_ms() + ALL_MS;
    // Without a handler that asked not to hear of stops: they are what is waited for.
    signal(SIGCHLD, SIG_DFL);
    sigfillset(&blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    for (unsigned i = 0; i < count; i++) {
        close_in_one(known, &holders[i], end);
    }
}

static bool ended(pid_t pid) {
    int64_t end = now_ms() + WAIT_MS;
    for (int64_t nap = 0; now_ms() < end; nap = nap < 5 ? nap + 1 : 5) {
        pid_t waited = waitpid(pid, NULL, WNOHANG);
        if (waited == pid || (waited < 0 && errno != EINTR)) {
            return true;
        }
        nap_us(nap == 0 ? 100 : nap * 1000);
    }
    return false;
}

bool close_in_holders(const struct listeners *known, struct holder *holders, unsigned count) {
    size_t bytes = count * sizeof *holders;
    struct holder *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return false;
    }
    memcpy(shared, holders, bytes);
    pid_t pid = fork();
    if (pid == 0) {
        run(known, shared, count);
        _exit(0);
    }
    // One that hangs is not killed, but left to put its thread back; the main loop reaps it.
    bool fine = pid > 0 && ended(pid);
    // The reasons are literals, at the same address in both processes.
    memcpy(holders, shared, bytes);
    munmap(shared, bytes);
    return fine;
}
