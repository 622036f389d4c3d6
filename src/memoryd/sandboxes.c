// The sandboxes, each with a process that serves its listeners. Their copies stay here, so that no call is
// failed by the kernel when that process dies: another one takes its place.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "memoryd.h"

#define FIRST_DELAY_MS 10
#define LONGEST_DELAY_MS 1000
#define HEALTHY_MS 10000
#define KILL_MS 2000

static struct sandbox *sandboxes;

unsigned sandbox_count(void) {
    unsigned count = 0;
    for (const struct sandbox *s = sandboxes; s != NULL; s = s->next) {
        count++;
    }
    return count;
}

static struct sandbox *sandbox_new(const char *path) {
    struct sandbox *s = calloc(1, sizeof *s);
    char *copy = strdup(path);
    void *shared =
        mmap(NULL, sizeof *s->progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == NULL || copy == NULL || shared == MAP_FAILED) {
        free(s);
        free(copy);
        if (shared != MAP_FAILED) {
            munmap(shared, sizeof *s->progress);
        }
        return NULL;
    }
    s->path = copy;
    s->progress = shared;
    s->next = sandboxes;
    sandboxes = s;
    return s;
}

struct sandbox *sandbox_for(const char *path) {
    for (struct sandbox *s = sandboxes; s != NULL; s = s->next) {
        if (strcmp(s->path, path) == 0) {
            return s;
        }
    }
    return sandbox_count() < MAX_SANDBOXES ? sandbox_new(path) : NULL;
}

void sandbox_drop(struct sandbox *s) {
    struct sandbox **at = &sandboxes;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    listeners_clear(&s->listeners);
    munmap(s->progress, sizeof *s->progress);
    free(s->path);
    free(s);
}

static bool spawn(struct sandbox *s) {
    s->started = now_ms();
    s->server = fork();
    if (s->server == 0) {
        serve(&s->listeners, s->progress);
    }
    if (s->server < 0) {
        s->server = 0;
        s->respawn_at = now_ms() + LONGEST_DELAY_MS;
        say("cannot serve %s: %s", s->path, strerror(errno));
        return false;
    }
    s->respawn_at = 0;
    return true;
}

// A server does not learn of new listeners: another one takes over, together with what was in progress.
static bool end_server(struct sandbox *s) {
    int64_t end = now_ms() + KILL_MS;
    // Not SIGKILL: it may be in the middle of moving a thread's memory.
    kill(s->server, SIGTERM);
    while (waitpid(s->server, NULL, WNOHANG) == 0) {
        if (now_ms() > end) {
            say("process %d, which serves %s, does not end", s->server, s->path);
            return false;
        }
        nap_us(100);
    }
    s->server = 0;
    return true;
}

bool sandbox_serve(struct sandbox *s) {
    return (s->server == 0 || end_server(s)) && spawn(s);
}

static int64_t delay(struct sandbox *s) {
    s->crashes = now_ms() - s->started > HEALTHY_MS ? 0 : s->crashes;
    s->crashes += s->crashes < 16;
    int64_t ms = (int64_t)FIRST_DELAY_MS << (s->crashes - 1);
    return s->crashes == 1 ? 0 : ms > LONGEST_DELAY_MS ? LONGEST_DELAY_MS : ms;
}

static void server_ended(struct sandbox *s, unsigned status) {
    s->server = 0;
    if (status == 0) {
        sandbox_drop(s);
        return;
    }
    // Somebody has killed it: the call that it looked at is not to blame, and is looked at again.
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        s->progress->attempts = 0;
    }
    s->respawn_at = now_ms() + delay(s);
    say("serving %s ended with status %#x", s->path, status);
}

static void reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (struct sandbox *s = sandboxes; s != NULL; s = s->next) {
            if (s->server == pid) {
                server_ended(s, (unsigned)status);
                break;
            }
        }
    }
}

int sandboxes_tick(void) {
    int64_t wait = -1;
    reap();
    for (struct sandbox *s = sandboxes; s != NULL; s = s->next) {
        if (s->server != 0 || s->listeners.count == 0) {
            continue;
        }
        int64_t left = s->respawn_at - now_ms();
        if (left <= 0) {
            left = spawn(s) ? -1 : LONGEST_DELAY_MS;
        }
        wait = left >= 0 && (wait < 0 || left < wait) ? left : wait;
    }
    return (int)wait;
}
