// Builds a child's environment, later entries winning, and looks its command up in PATH.
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
    if (entry == NULL || entry[0] == '=' || strchr(entry, '=') == NULL) {
        return;
    }
    while (*at != NULL && !same_name(*at, entry)) {
        at++;
    }
    *at = entry;
}

static char *entry_of(const char *name, const char *value) {
    size_t size = strlen(name) + strlen(value) + 2;
    char *entry = malloc(size);
    if (entry != NULL) {
        snprintf(entry, size, "%s=%s", name, value);
    }
    return entry;
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

char **child_environment(const struct request *q, const struct user *u) {
    static char path[] = DEFAULT_PATH;
    size_t most = (size_t)q->env.count + guest.env.count + OWN_ENTRIES;
    char **env = calloc(most + 1, sizeof *env);
    char number[24];
    if (env == NULL) {
        return NULL;
    }
    set(env, path);
    set(env, entry_of("HOME", u->home));
    if (u->name[0] != '\0') {
        set(env, entry_of("USER", u->name));
        set(env, entry_of("LOGNAME", u->name));
    }
    set(env, entry_of("SHELL", u->shell));
    if ((q->flags & SPAWN_CLEAR_ENV) == 0) {
        add_list(env, &guest.env, true);
    }
    if (guest.generation != 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)guest.generation);
        set(env, entry_of("RAMET_GENERATION", number));
    }
    add_list(env, &q->env, false);
    return env;
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
