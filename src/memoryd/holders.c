// Looks through the processes of a cgroup, takes the listeners, and notes whose tables still hold them.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memoryd.h"

struct visit {
    struct scan *scan;
    int pidfd;
    bool holds;
};

static bool take(void *owner, int number) {
    struct visit *v = owner;
    int fd = table_take(v->pidfd, number);
    v->holds = true;
    if (fd < 0) {
        // Closed, or ended, since the name was read; a holder that stays one is reported as pending.
        return errno == EBADF || errno == ESRCH || errno == EPERM;
    }
    int added = listeners_add(v->scan->listeners, fd);
    if (added < 0) {
        v->scan->error = errno == EMFILE ? "too many listeners" : "cannot compare listeners";
        return false;
    }
    v->scan->fresh += added == 1;
    return true;
}

static void note(struct scan *scan, pid_t pid, pid_t tid) {
    if (scan->holder_count < MAX_HOLDERS) {
        scan->holders[scan->holder_count++] = (struct holder){.pid = pid, .tid = tid};
    }
}

static bool visit_thread(struct scan *scan, pid_t pid, pid_t tid) {
    struct visit v = {scan, table_open(pid, tid), false};
    bool ok = table_each(pid, tid, take, &v);
    if (v.holds) {
        note(scan, pid, tid);
    }
    if (v.pidfd >= 0) {
        close(v.pidfd);
    }
    return ok || scan->error == NULL;
}

// Threads share one table, nearly always; each table is looked at once.
static bool visit_process(struct scan *scan, pid_t pid) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *dir = opendir(path);
    pid_t last = 0;
    bool ok = true;
    if (dir == NULL) {
        return true;
    }
    for (const struct dirent *e; ok && (e = readdir(dir)) != NULL;) {
        pid_t tid = (pid_t)atoi(e->d_name);
        if (tid > 0 && (last == 0 || !table_same(last, tid))) {
            ok = visit_thread(scan, pid, tid);
            last = tid;
        }
    }
    closedir(dir);
    return ok;
}

bool scan_processes(const char *path, struct scan *scan) {
    FILE *file = fopen(path, "re");
    char line[32];
    bool ok = true;
    scan->holder_count = scan->fresh = 0;
    if (file == NULL) {
        scan->error = errno == ENOENT ? "no such cgroup" : "cannot read the cgroup";
        return false;
    }
    while (ok && fgets(line, sizeof line, file) != NULL) {
        pid_t pid = (pid_t)atoi(line);
        // 0 is a process that this pid namespace does not see.
        ok = pid <= 0 || visit_process(scan, pid);
        if (ok && now_ms() > scan->deadline) {
            scan->error = "the cgroup's processes cannot be looked through in time";
            ok = false;
        }
    }
    fclose(file);
    return ok;
}
