// Processes that are adopted while they wait in a system call, or in other awkward moments. argv: the case.
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

#include "restored.h"

#define WAIT_MS 700

static volatile sig_atomic_t handled;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// A wait that a stop interrupts goes on for what is left of it: it ends neither early nor late.
static void check_took(double since) {
    double took = now() - since;
    if (took < WAIT_MS / 1000.0 - 0.02 || took > WAIT_MS / 1000.0 + 1.5) {
        printf("FAILED: took %.3f s\n", took);
        _exit(1);
    }
}

static void read_line(void) {
    char byte = 0;
    while (byte != '\n') {
        CHECK(read(0, &byte, 1) == 1);
    }
}

static void on_signal(int signal) {
    (void)signal;
    handled++;
}

static void handle(int signal, int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    CHECK(sigaction(signal, &action, NULL) == 0);
}

static void wait_read(void) {
    char bytes[8];
    CHECK(read(0, bytes, sizeof bytes) == 3 && memcmp(bytes, "go\n", 3) == 0);
}

static void wait_nanosleep(void) {
    double since = now();
    struct timespec t = {.tv_nsec = WAIT_MS * 1000000L};
    CHECK(nanosleep(&t, NULL) == 0);
    check_took(since);
}

static void wait_clock_nanosleep(void) {
    double since = now();
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += 1;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
    CHECK(now() - since >= 0.99);
}

static void wait_futex(void) {
    int word = 1;
    double since = now();
    struct timespec t = {.tv_nsec = WAIT_MS * 1000000L};
    CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &t, NULL, 0) == -1 && errno == ETIMEDOUT);
    check_took(since);
}

static void wait_poll(void) {
    struct pollfd p = {.fd = 0, .events = POLLIN};
    double since = now();
    CHECK(poll(&p, 1, WAIT_MS) == 0);
    check_took(since);
}

static void wait_ppoll(void) {
    struct pollfd p = {.fd = 0, .events = POLLIN};
    struct timespec t = {.tv_sec = 20};
    sigset_t mask, now_mask;
    sigemptyset(&mask);
    handle(SIGUSR1, 0);
    sigaddset(&mask, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    sigemptyset(&mask);
    CHECK(ppoll(&p, 1, &t, &mask) == -1 && errno == EINTR && handled == 1);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now_mask) == 0 && sigismember(&now_mask, SIGUSR1) == 1);
}

static void wait_epoll(void) {
    struct epoll_event e = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &e) == 0);
    double since = now();
    int n = epoll_wait(epoll, &e, 1, WAIT_MS);
    // signal(7): this one is never restarted, not even after a stop without a handler.
    CHECK(n == 0 || (n == -1 && errno == EINTR));
    if (n == 0) {
        check_took(since);
    }
}

static void wait_select(void) {
    double since = now();
    struct timeval t = {.tv_usec = WAIT_MS * 1000};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(0, &set);
    CHECK(select(1, &set, NULL, NULL, &t) == 0);
    check_took(since);
}

static void wait_pause(void) {
    handle(SIGUSR1, 0);
    CHECK(pause() == -1 && errno == EINTR && handled == 1);
}

static void wait_sigsuspend(void) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    handle(SIGUSR1, 0);
    CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    sigemptyset(&mask);
    CHECK(sigsuspend(&mask) == -1 && errno == EINTR && handled == 1);
}

static void wait_stopped(void) {
    CHECK(raise(SIGSTOP) == 0);
}

// In the program's own code, with a value in every register that a call may change.
static void wait_computing(void) {
    uint64_t rounds = 0, a = 1, b = 2, c = 3;
    double since = now();
    while (now() - since < WAIT_MS / 1000.0) {
        for (int i = 0; i < 100; i++) {
            __asm__ volatile("mov $0x1111, %%rax; mov $0x2222, %%rcx; mov $0x3333, %%r11; mov $0x4444, %%rdi; pause;"
                             "cmp $0x1111, %%rax; jne 1f; cmp $0x2222, %%rcx; jne 1f; cmp $0x3333, %%r11; jne 1f;"
                             "cmp $0x4444, %%rdi; je 2f; 1: ud2; 2:"
                             :
                             :
                             : "rax", "rcx", "r11", "rdi", "cc");
            rounds++;
            a += b;
            b += c;
            c += a;
        }
        usleep(100);
    }
    CHECK(rounds > 0 && count_listeners() == 0);
}

static int run_child(void *argument) {
    char byte;
    (void)argument;
    _exit(read(0, &byte, 1) == 1 ? 0 : 1);
}

// Until its child is gone this process cannot be stopped.
static void wait_vfork(void) {
    static char stack[65536] __attribute__((aligned(16)));
    pid_t pid = clone(run_child, stack + sizeof stack, CLONE_VFORK | CLONE_VM | SIGCHLD, NULL);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *sleep_long(void *argument) {
    while (pause() != 0) {
    }
    return argument;
}

static void wait_vfork_beside_a_thread(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, sleep_long, NULL) == 0);
    wait_vfork();
    CHECK(count_listeners() == 0);
}

static void *outlive(void *argument) {
    char byte;
    (void)argument;
    CHECK(read(0, &byte, 1) == 1 && count_listeners() == 0);
    say_line("ok");
    _exit(0);
}

static void wait_dead_leader(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, outlive, NULL) == 0);
    syscall(SYS_exit, 0);
}

static void *own_table(void *argument) {
    char byte;
    (void)argument;
    CHECK(unshare(CLONE_FILES) == 0);
    say_line("unshared");
    CHECK(read(0, &byte, 1) == 1 && count_listeners() == 0);
    return NULL;
}

static void wait_own_table(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, own_table, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0 && count_listeners() == 0);
}

// One tracer has it already. The tracer is the parent, so that it ends with it.
static void wait_traced(void) {
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        sleep_long(NULL);
    }
    CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
    read_line();
    CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && waitpid(pid, NULL, 0) == pid);
    CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
    say_line("detached");
    read_line();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// As one does whose memory is being replaced just then.
static void wait_traced_briefly(void) {
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        sleep_long(NULL);
    }
    CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
    read_line();
    usleep(100000);
    CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && waitpid(pid, NULL, 0) == pid);
    CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
    read_line();
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// Children come and go all the time, each with a copy of the table.
static void wait_forking(void) {
    struct pollfd p = {.fd = 0, .events = POLLIN};
    for (int i = 0; poll(&p, 1, 0) == 0; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            usleep(30000);
            _exit(0);
        }
        usleep(1000);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
    CHECK(count_listeners() == 0);
    while (waitpid(-1, NULL, 0) > 0) {
    }
}

// Every queued signal arrives, once, whatever is done to the process meanwhile.
static void wait_queued_signals(void) {
    enum { SIGNALS = 600 };
    handle(SIGRTMIN, SA_RESTART);
    pid_t self = getpid(), pid = fork();
    if (pid == 0) {
        for (int i = 0; i < SIGNALS; i++) {
            union sigval value = {.sival_int = i};
            CHECK(sigqueue(self, SIGRTMIN, value) == 0);
            usleep(1000);
        }
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(handled == SIGNALS && count_listeners() == 0);
}

// A filter of its own, under which the call that closes its listener would be its end.
static void wait_with_a_strict_filter(void) {
    static struct sock_filter code[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
        EQUAL(SYS_close, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    say_line("strict");
    read_line();
    CHECK(count_listeners() == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(0);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

// Another thread execs while this one is being looked at, again and again.
static void *exec_again(void *argument) {
    usleep(2000);
    execl("/proc/self/exe", "waits", "+execs", argument, NULL);
    return NULL;
}

static void go_through_execs(const char *left) {
    static char next[16];
    pthread_t thread;
    int n = atoi(left);
    if (n == 0) {
        read_line();
        CHECK(count_listeners() == 0);
        return;
    }
    snprintf(next, sizeof next, "%d", n - 1);
    CHECK(pthread_create(&thread, NULL, exec_again, next) == 0);
    sleep_long(NULL);
}

static void wait_execs(void) {
    for (int fd = 3; fd < 16; fd++) {
        fcntl(fd, F_SETFD, 0);
    }
    go_through_execs("60");
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"read", wait_read},
    {"nanosleep", wait_nanosleep},
    {"clock_nanosleep", wait_clock_nanosleep},
    {"futex", wait_futex},
    {"poll", wait_poll},
    {"ppoll", wait_ppoll},
    {"epoll", wait_epoll},
    {"select", wait_select},
    {"pause", wait_pause},
    {"sigsuspend", wait_sigsuspend},
    {"stopped", wait_stopped},
    {"computing", wait_computing},
    {"vfork", wait_vfork},
    {"vfork_beside_a_thread", wait_vfork_beside_a_thread},
    {"dead_leader", wait_dead_leader},
    {"own_table", wait_own_table},
    {"traced", wait_traced},
    {"traced_briefly", wait_traced_briefly},
    {"forking", wait_forking},
    {"queued_signals", wait_queued_signals},
    {"with_a_strict_filter", wait_with_a_strict_filter},
    {"execs", wait_execs},
};

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "+execs") == 0) {
        go_through_execs(argv[2]);
        say_line("ok");
        return 0;
    }
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            install_filter(0);
            say_line("started");
            cases[i].run();
            say_line("ok");
            return 0;
        }
    }
    printf("FAILED: no such case\n");
    return 2;
}
