// Identity after a restore: host name, machine-id, default environment, generation number.
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "safefile.h"

#define MAX_ENV (256u * 1024u)
#define MAX_HOSTS (64u * 1024u)

enum not_written { NO_HOSTNAME = 1, NO_HOSTS = 2, NO_MACHINE_ID = 4, NO_GENERATION = 8 };

static bool of_characters(const char *s, const char *allowed) {
    return strspn(s, allowed) == strlen(s);
}

static const char *invalid_value(const struct request *q) {
    size_t id = strlen(q->machine_id);
    if (!of_characters(q->hostname, "abcdefghijklmnopqrstuvwxyz0123456789-")) {
        return "identity: host name";
    }
    if (id != 0 && (id != 32 || !of_characters(q->machine_id, "0123456789abcdef"))) {
        return "identity: machine-id";
    }
    if (q->env_mode == 0 && q->env.count != 0) {
        return "identity: environment without env_mode";
    }
    return NULL;
}

// Strings in the layout that list_next walks: text, NUL, three bytes of padding.
static bool keep_env(const struct list *from) {
    size_t size = 0;
    char *s = from->first;
    for (uint32_t i = 0; i < from->count; i++, s = list_next(s)) {
        size += strlen(s) + 4;
    }
    char *text = size > MAX_ENV ? NULL : calloc(1, size + 1);
    if (text == NULL) {
        return false;
    }
    char *to = text;
    s = from->first;
    for (uint32_t i = 0; i < from->count; i++, s = list_next(s)) {
        strcpy(to, s);
        to = list_next(to);
    }
    free(guest.env_text);
    guest.env_text = text;
    guest.env = (struct list){.first = text, .count = from->count};
    return true;
}

bool env_init(char **entries) {
    struct buf b = {0};
    struct list l = {0};
    for (; *entries != NULL && l.count < 4096; entries++, l.count++) {
        buf_put(&b, *entries, strlen(*entries));
        buf_put(&b, "\0\0\0", 4);
    }
    l.first = (char *)buf_front(&b);
    bool kept = !b.failed && keep_env(&l);
    buf_free(&b);
    return kept;
}

static bool starts_with_own_address(const char *line) {
    return strncmp(line, "127.0.1.1", 9) == 0 && isspace((unsigned char)line[9]);
}

// The file without its 127.0.1.1 lines, and one such line for the new name.
static bool write_hosts(int dir, const char *hostname) {
    struct buf out = {0};
    char *text = safe_read(dir, "hosts", MAX_HOSTS);
    if (text == NULL) {
        return false;
    }
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (!starts_with_own_address(line)) {
            buf_put(&out, line, n);
            buf_put(&out, "\n", 1);
        }
        line += line[n] == '\n' ? n + 1 : n;
    }
    char own[96];
    int n = snprintf(own, sizeof own, "127.0.1.1\t%s\n", hostname);
    buf_put(&out, own, (size_t)n);
    bool done = !out.failed && safe_write(dir, "hosts", buf_front(&out), buf_size(&out), 0644);
    buf_free(&out);
    free(text);
    return done;
}

static bool write_line(int dir, const char *name, const char *text, mode_t mode) {
    char line[80];
    int n = snprintf(line, sizeof line, "%s\n", text);
    return safe_write(dir, name, line, (size_t)n, mode);
}

static uint32_t write_etc(const struct request *q) {
    uint32_t failed = 0;
    int dir = safe_directory("/etc");
    if (q->hostname[0] != '\0') {
        failed |= write_line(dir, "hostname", q->hostname, 0644) ? 0 : NO_HOSTNAME;
        failed |= write_hosts(dir, q->hostname) ? 0 : NO_HOSTS;
    }
    if (q->machine_id[0] != '\0') {
        failed |= write_line(dir, "machine-id", q->machine_id, 0444) ? 0 : NO_MACHINE_ID;
    }
    if (dir >= 0) {
        close(dir);
    }
    return failed;
}

static uint32_t write_generation(void) {
    char path[4200];
    char base[4200];
    char number[24];
    snprintf(path, sizeof path, "%s", guest.options.generation_file);
    snprintf(base, sizeof base, "%s", guest.options.generation_file);
    snprintf(number, sizeof number, "%llu", (unsigned long long)guest.generation);
    int dir = safe_directory(dirname(path));
    bool done = write_line(dir, basename(base), number, 0444);
    if (dir >= 0) {
        close(dir);
    }
    return done ? 0 : NO_GENERATION;
}

void op_identity(struct conn *c) {
    const struct request *q = &c->request;
    const char *invalid = invalid_value(q);
    if (invalid != NULL) {
        conn_fail(c, E_INVALID, 0, invalid);
        return;
    }
    if (q->hostname[0] != '\0' && sethostname(q->hostname, strlen(q->hostname)) != 0) {
        conn_fail_errno(c, errno, "identity: sethostname");
        return;
    }
    if (q->env_mode != 0 && !keep_env(&q->env)) {
        conn_fail(c, E_LIMIT, 0, "identity: environment too large");
        return;
    }
    uint32_t failed = write_etc(q);
    if (q->generation != 0) {
        guest.generation = q->generation;
        failed |= write_generation();
    }
    proc_lift_holds();
    size_t mark = frame_begin(&c->out, FRAME_OK);
    put_u32(&c->out, failed);
    frame_end(&c->out, mark);
    conn_done(c);
}
