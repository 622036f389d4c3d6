// Descriptor tables of other threads: which listeners are in one, and how to get at them.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memoryd.h"

#define LINK "anon_inode:seccomp notify"

static bool is_listener(int dir, const char *name) {
    char link[sizeof LINK];
    ssize_t n = readlinkat(dir, name, link, sizeof link);
    return n == (ssize_t)strlen(LINK) && memcmp(link, LINK, strlen(LINK)) == 0;
}

bool table_each(pid_t pid, pid_t tid, bool (*each)(void *owner, int number), void *owner) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/fd", pid, tid);
    DIR *dir = opendir(path);
    bool more = true;
    // A thread that is gone or going has no table.
    if (dir == NULL) {
        return true;
    }
    for (const struct dirent *e; more && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.' && is_listener(dirfd(dir), e->d_name)) {
            more = each(owner, atoi(e->d_name));
        }
    }
    closedir(dir);
    return more;
}

bool table_same(pid_t a, pid_t b) {
    return a == b || syscall(SYS_kcmp, (long)a, (long)b, COMPARE_FILES, 0ul, 0ul) == 0;
}

// Linux 6.9 can name a thread (PIDFD_THREAD is O_EXCL). Before it only the main thread's table can be
// reached.
int table_open(pid_t pid, pid_t tid) {
    return (int)syscall(SYS_pidfd_open, (long)tid, pid == tid ? 0ul : (unsigned long)O_EXCL);
}

int table_take(int pidfd, int number) {
    return (int)syscall(SYS_pidfd_getfd, (long)pidfd, (long)number, 0ul);
}
