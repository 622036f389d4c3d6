// Spawn, the child's side: from fork to execve. Runs in a copy of the guest and never returns.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "childenv.h"
#include "guest.h"
#include "users.h"

#define LAST_CAPABILITY 63
#define CAPABILITY_VERSION_3 0x20080522u

static int error_fd;

static _Noreturn void give_up(enum error_code code, int err, const char *what, const char *detail) {
    struct spawn_error error = {.code = (uint16_t)code, .err = err};
    snprintf(error.message, sizeof error.message, "%s: %s", what, detail);
    ssize_t n = write(error_fd, &error, sizeof error);
    (void)n;
    _exit(127);
}

static void give_up_errno(const char *what) {
    int err = errno;
    give_up((enum error_code)code_of_errno(err), err, what, strerror(err));
}

// Handlers are the guest's; its ignored signals would be inherited through execve. The system call, because
// the library's own signals (32 and up) may come ignored too and sigaction refuses to touch them.
void child_reset(void) {
    static const uint64_t default_action[4];
    sigset_t none;
    for (int s = 1; s <= 64; s++) {
        syscall(SYS_rt_sigaction, s, default_action, NULL, sizeof(uint64_t));
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    setrlimit(RLIMIT_NOFILE, &guest.options.files);
}

static int limit_capabilities(void) {
    uint64_t mask = guest.options.child_caps;
    for (int cap = 0; cap <= LAST_CAPABILITY; cap++) {
        if ((mask >> cap & 1) == 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1
            && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
            return errno;
        }
    }
    // Fails where ambient capabilities do not exist; then there are none to clear.
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return 0;
}

struct cap_header {
    uint32_t version;
    int pid;
};

struct cap_sets {
    uint32_t effective, permitted, inheritable;
};

// What the guest holds now, cut down to the mask; nothing inheritable.
static int cut_capabilities(void) {
    struct cap_header header = {.version = CAPABILITY_VERSION_3};
    struct cap_sets sets[2];
    if (syscall(SYS_capget, &header, sets) != 0) {
        return errno;
    }
    for (int i = 0; i < 2; i++) {
        uint32_t part = (uint32_t)(guest.options.child_caps >> (32 * i));
        sets[i].permitted &= part;
        sets[i].effective &= part;
        sets[i].inheritable = 0;
    }
    return syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

int become_user(const struct user *u) {
    int err = limit_capabilities();
    if (err != 0) {
        return err;
    }
    if (setgroups(u->group_count, u->groups) != 0 || setgid(u->gid) != 0 || setuid(u->uid) != 0) {
        return errno;
    }
    err = cut_capabilities();
    if (err == 0 && !guest.options.allow_new_privs
        && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        err = errno;
    }
    return err;
}

static void set_oom_score(void) {
    char text[16];
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof text, "%d", guest.options.oom_score_adj);
    if (fd >= 0) {
        ssize_t written = write(fd, text, (size_t)n);
        (void)written;
        close(fd);
    }
}

static void take_descriptors(const struct child_fds *child, const struct user *u) {
    const int *fds = child->fds;
    if (child->pty) {
        // Ownership lets the user's programs open their terminal by name.
        if (fchown(fds[0], u->uid, (gid_t)-1) != 0 && errno != EPERM) {
            give_up_errno("terminal");
        }
        if (ioctl(fds[0], TIOCSCTTY, 0) != 0) {
            give_up_errno("controlling terminal");
        }
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(child->pty ? fds[0] : fds[i], i) < 0) {
            give_up_errno("standard descriptors");
        }
    }
    if (error_fd != 3) {
        dup3(error_fd, 3, O_CLOEXEC);
        error_fd = 3;
    }
    close_from(4);
}

void close_from(int first) {
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0) {
        return;
    }
    struct rlimit limit;
    int last = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (int)limit.rlim_cur : 1024;
    for (int fd = first; fd < last; fd++) {
        close(fd);
    }
}

static void enter(const char *cwd, const struct user *u) {
    if (cwd[0] == '\0') {
        if (chdir(u->home) != 0 && chdir("/") != 0) {
            give_up(E_BAD_CWD, errno, "cwd", strerror(errno));
        }
    } else if (chdir(cwd) != 0) {
        give_up(E_BAD_CWD, errno, "cwd", strerror(errno));
    }
}

static char **array_of(const struct list *l) {
    char **array = calloc((size_t)l->count + 1, sizeof *array);
    if (array == NULL) {
        give_up(E_NO_MEMORY, ENOMEM, "spawn", "out of memory");
    }
    char *s = l->first;
    for (uint32_t i = 0; i < l->count; i++, s = list_next(s)) {
        array[i] = s;
    }
    return array;
}

_Noreturn void child_exec(const struct request *q, const struct child_fds *fds) {
    struct user_files files;
    struct user user;
    error_fd = fds->error_pipe;
    child_reset();
    setsid();
    user_files_load(&files);
    if (!user_find(&files, q->user, &user)) {
        give_up(E_NO_SUCH_USER, 0, "no such user or group", q->user);
    }
    take_descriptors(fds, &user);
    if (guest.options.has_oom) {
        set_oom_score();
    }
    int err = become_user(&user);
    if (err != 0) {
        if (err == EINVAL) {
            give_up(E_NO_SUCH_USER, err, "the sandbox has no such uid or gid", q->user);
        }
        give_up(E_IO, err, "change of user", strerror(err));
    }
    enter(q->cwd, &user);
    char **argv = array_of(&q->argv);
    struct own_entries own;
    char **env = child_environment(q, &user, &own);
    if (env == NULL) {
        give_up(E_NO_MEMORY, ENOMEM, "spawn", "out of memory");
    }
    exec_search(argv, env);
    give_up(E_EXEC_FAILED, errno, argv[0], strerror(errno));
}
