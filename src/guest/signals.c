// Signals come in through a pipe; children of all kinds are reaped here.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define TERM_GRACE_MS 5000

static volatile sig_atomic_t asked_to_end;

static void on_signal(int signo) {
    int saved = errno;
    if (signo == SIGTERM) {
        asked_to_end = 1;
    }
    // A full pipe is fine: the loop wakes anyway.
    ssize_t written = write(guest.signal_pipe[1], "", 1);
    (void)written;
    errno = saved;
}

bool signals_init(void) {
    if (pipe2(guest.signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    return sigaction(SIGCHLD, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0
        && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static struct proc *find_unreaped(pid_t pid) {
    for (struct proc *p = guest.procs; p != NULL; p = p->next) {
        if (p->pid == pid && !p->reaped) {
            return p;
        }
    }
    return NULL;
}

void reap_children(void) {
    int status;
    struct rusage usage;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        struct proc *p = find_unreaped(pid);
        if (p != NULL) {
            proc_exited(p, status, &usage);
        } else {
            helper_reaped(pid);
        }
    }
    shutdown_tick(now_ms(), pid < 0 && errno == ECHILD);
}

void signals_handle(void *owner, int which, short events) {
    (void)owner;
    (void)which;
    (void)events;
    uint8_t bytes[64];
    ssize_t n = read(guest.signal_pipe[0], bytes, sizeof bytes);
    (void)n;
    if (asked_to_end != 0) {
        asked_to_end = 0;
        shutdown_begin(TERM_GRACE_MS);
    }
    reap_children();
}
