// Builds a child's environment, later entries winning, tells it, and looks the child's command up in PATH.
#include "childenv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OWN_ENTRIES 6u

static bool same_name(const char *a, const char *b) {
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

static void set(char **env, char *entry) {
    char **at = env;
    if (entry[0] == '=' || strchr(entry, '=') == NULL) {
        return;
    }
    while (*at != NULL && !same_name(*at, entry)) {
        at++;
    }
    *at = entry;
}

static bool of_the_user(const char *entry) {
    return strncmp(entry, "HOME=", 5) == 0 || strncmp(entry, "USER=", 5) == 0
        || strncmp(entry, "LOGNAME=", 8) == 0;
}

static void add_list(char **env, const struct list *l, bool without_user) {
    char *s = l->first;
    for (uint32_t i = 0; i < l->count; i++, s = list_next(s)) {
        if (!without_user || !of_the_user(s)) {
            set(env, s);
        }
    }
}

static void set_own(char **env, const struct user *u, struct own_entries *own) {
    static char path[] = DEFAULT_PATH;
    snprintf(own->home, sizeof own->home, "HOME=%s", u->home);
    snprintf(own->user, sizeof own->user, "USER=%s", u->name);
    snprintf(own->logname, sizeof own->logname, "LOGNAME=%s", u->name);
    snprintf(own->shell, sizeof own->shell, "SHELL=%s", u->shell);
    set(env, path);
    set(env, own->home);
    if (u->name[0] != '\0') {
        set(env, own->user);
        set(env, own->logname);
    }
    set(env, own->shell);
}

char **child_environment(const struct request *q, const struct user *u, struct own_entries *own) {
    size_t most = (size_t)q->env.count + guest.env.count + OWN_ENTRIES;
    char **env = calloc(most + 1, sizeof *env);
    if (env == NULL) {
        return NULL;
    }
    set_own(env, u, own);
    if ((q->flags & SPAWN_CLEAR_ENV) == 0) {
        add_list(env, &guest.env, true);
    }
    if (guest.generation != 0) {
        snprintf(own->generation, sizeof own->generation, "RAMET_GENERATION=%llu",
                 (unsigned long long)guest.generation);
        set(env, own->generation);
    }
    add_list(env, &q->env, false);
    return env;
}

// As many frames as it takes: an entry may be longer than one.
static void put_data(struct buf *to, struct buf *from) {
    while (buf_size(from) > 0) {
        size_t n = buf_size(from) < MAX_FRAME ? buf_size(from) : MAX_FRAME;
        size_t mark = frame_begin(to, FRAME_DATA);
        buf_put(to, buf_front(from), n);
        frame_end(to, mark);
        buf_drop(from, n);
    }
}

void op_environment(struct conn *c) {
    struct user user;
    struct own_entries own;
    struct buf text = {0};
    if (!user_of_request(c, &user)) {
        return;
    }
    char **env = child_environment(&c->request, &user, &own);
    for (char **at = env; at != NULL && *at != NULL; at++) {
        buf_put(&text, *at, strlen(*at) + 1);
    }
    if (env == NULL || text.failed) {
        conn_fail(c, E_NO_MEMORY, ENOMEM, "out of memory");
    } else {
        frame_empty(&c->out, FRAME_OK);
        put_data(&c->out, &text);
        frame_empty(&c->out, FRAME_END);
        conn_done(c);
    }
    free(env);
    buf_free(&text);
}

static const char *path_of(char **env) {
    for (; *env != NULL; env++) {
        if (strncmp(*env, "PATH=", 5) == 0) {
            return *env + 5;
        }
    }
    return "";
}

void exec_search(char **argv, char **env) {
    char file[PATH_MAX];
    if (strchr(argv[0], '/') != NULL) {
        execve(argv[0], argv, env);
        return;
    }
    int worst = ENOENT;
    for (const char *p = path_of(env); *p != '\0';) {
        size_t n = strcspn(p, ":");
        int length = snprintf(file, sizeof file, "%.*s/%s", (int)n, n == 0 ? "." : p, argv[0]);
        if (n > 0 && length > 0 && (size_t)length < sizeof file) {
            execve(file, argv, env);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
                return;
            }
            worst = errno == EACCES ? EACCES : worst;
        }
        p += p[n] == ':' ? n + 1 : n;
    }
    errno = worst;
}
