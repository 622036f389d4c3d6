// Looks users and groups up. The files belong to the sandbox: nothing in them is trusted to be sane.
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (1024u * 1024u)
#define MAX_FIELDS 7

struct span {
    const char *p;
    size_t n;
};

// O_NONBLOCK and the check of the type: a FIFO in the file's place must not hold the guest up.
static char *read_text(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    char *text = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        size_t size = st.st_size > (off_t)MAX_FILE ? MAX_FILE : (size_t)st.st_size;
        text = malloc(size + 1);
        ssize_t n = text == NULL ? 0 : read(fd, text, size);
        if (text != NULL) {
            text[n > 0 ? n : 0] = '\0';
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

void user_files_load(struct user_files *f) {
    f->passwd = read_text("/etc/passwd");
    f->group = read_text("/etc/group");
}

void user_files_free(struct user_files *f) {
    free(f->passwd);
    free(f->group);
    *f = (struct user_files){0};
}

// Splits the line at *text into fields at ':' and moves on. False at the end of the text.
static bool next_line(const char **text, struct span fields[MAX_FIELDS], size_t *count) {
    const char *p = *text;
    if (p == NULL || *p == '\0') {
        return false;
    }
    size_t length = strcspn(p, "\n");
    const char *end = p + length;
    *text = *end == '\n' ? end + 1 : end;
    *count = 0;
    while (*count < MAX_FIELDS) {
        const char *colon = memchr(p, ':', (size_t)(end - p));
        const char *stop = colon == NULL ? end : colon;
        fields[(*count)++] = (struct span){p, (size_t)(stop - p)};
        if (colon == NULL) {
            break;
        }
        p = colon + 1;
    }
    return true;
}

static bool span_is(struct span s, const char *text, size_t n) {
    return s.n == n && memcmp(s.p, text, n) == 0;
}

// Decimal, below 2^32 - 1 (which means "leave alone" to the kernel).
static bool span_id(struct span s, uint32_t *id) {
    uint64_t v = 0;
    if (s.n == 0 || s.n > 10) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *id = (uint32_t)v;
    return v < UINT32_MAX;
}

static void span_copy(struct span s, char *to, size_t n) {
    size_t length = s.n < n - 1 ? s.n : n - 1;
    memcpy(to, s.p, length);
    to[length] = '\0';
}

// The first line whose first field is the name, or whose third is the id where by_id is set.
static bool find_line(const char *text, struct span name, bool by_id, uint32_t id, size_t need,
                      struct span fields[MAX_FIELDS]) {
    size_t count;
    uint32_t found;
    while (next_line(&text, fields, &count)) {
        if (count < need || fields[0].n == 0 || !span_id(fields[2], &found)) {
            continue;
        }
        if (by_id ? found == id : span_is(fields[0], name.p, name.n)) {
            return true;
        }
    }
    return false;
}

static bool passwd_user(const struct user_files *f, struct span who, struct user *out) {
    struct span fields[MAX_FIELDS];
    uint32_t id = 0;
    uint32_t gid = 0;
    bool numeric = false;
    bool found = find_line(f->passwd, who, false, 0, MAX_FIELDS, fields);
    if (!found) {
        numeric = span_id(who, &id);
        found = numeric && find_line(f->passwd, who, true, id, MAX_FIELDS, fields);
    }
    if (found && span_id(fields[3], &gid)) {
        span_id(fields[2], &id);
        *out = (struct user){.uid = id, .gid = gid};
        span_copy(fields[0], out->name, sizeof out->name);
        span_copy(fields[5], out->home, sizeof out->home);
        span_copy(fields[6], out->shell, sizeof out->shell);
    } else if (numeric || span_is(who, "root", 4)) {
        // An image that is one program has no /etc/passwd; root is 0 there too.
        *out = (struct user){.uid = id};
    } else {
        return false;
    }
    if (out->home[0] != '/') {
        strcpy(out->home, "/");
    }
    if (out->shell[0] != '/') {
        strcpy(out->shell, "/bin/sh");
    }
    return true;
}

static bool in_members(struct span members, const char *name) {
    size_t length = strlen(name);
    while (members.n > 0) {
        const char *comma = memchr(members.p, ',', members.n);
        size_t n = comma == NULL ? members.n : (size_t)(comma - members.p);
        if (n == length && memcmp(members.p, name, n) == 0) {
            return true;
        }
        size_t step = comma == NULL ? n : n + 1;
        members = (struct span){members.p + step, members.n - step};
    }
    return false;
}

static void supplementary(const struct user_files *f, struct user *u) {
    const char *text = f->group;
    struct span fields[MAX_FIELDS];
    size_t count;
    uint32_t gid;
    u->groups[u->group_count++] = u->gid;
    while (u->name[0] != '\0' && next_line(&text, fields, &count)) {
        if (count >= 4 && u->group_count < MAX_GROUPS && span_id(fields[2], &gid)
            && gid != u->gid && in_members(fields[3], u->name)) {
            u->groups[u->group_count++] = gid;
        }
    }
}

static bool group_of(const struct user_files *f, struct span who, gid_t *gid) {
    struct span fields[MAX_FIELDS];
    uint32_t id;
    if (find_line(f->group, who, false, 0, 3, fields)) {
        span_id(fields[2], &id);
    } else if (!span_id(who, &id)) {
        return false;
    }
    *gid = id;
    return true;
}

bool user_find(const struct user_files *f, const char *spec, struct user *out) {
    const char *colon = strchr(spec, ':');
    struct span who = {spec, colon == NULL ? strlen(spec) : (size_t)(colon - spec)};
    if (who.n == 0) {
        who = (struct span){"0", 1};
    }
    if (!passwd_user(f, who, out)) {
        return false;
    }
    if (colon == NULL) {
        supplementary(f, out);
        return true;
    }
    struct span group = {colon + 1, strlen(colon + 1)};
    if (!group_of(f, group, &out->gid)) {
        return false;
    }
    out->groups[out->group_count++] = out->gid;
    return true;
}

static void name_of(const char *text, uint32_t id, char *to, size_t n) {
    struct span fields[MAX_FIELDS];
    to[0] = '\0';
    if (find_line(text, (struct span){NULL, 0}, true, id, 3, fields)) {
        span_copy(fields[0], to, n);
    }
}

void user_name_of(const struct user_files *f, uid_t uid, char *to, size_t n) {
    name_of(f->passwd, uid, to, n);
}

void group_name_of(const struct user_files *f, gid_t gid, char *to, size_t n) {
    name_of(f->group, gid, to, n);
}
