// The mappings of a process: by a query where the kernel has it, else from the text.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "target.h"

bool maps_open(struct maps *m, pid_t pid) {
    m->plain = options.plain_maps;
    m->at = m->length = 0;
    m->last = (struct mapping){0};
    m->fd = proc_open(pid, "maps", O_RDONLY);
    return m->fd >= 0;
}

void maps_close(struct maps *m) {
    if (m->fd >= 0) {
        close(m->fd);
    }
    m->fd = -1;
}

bool maps_rewind(struct maps *m) {
    m->at = m->length = 0;
    m->last = (struct mapping){0};
    return lseek(m->fd, 0, SEEK_SET) == 0;
}

static bool is_ours(const struct mapping *m, const char *name) {
    return !m->shared && m->has_file && strncmp(name, options.prefix, options.prefix_length) == 0;
}

static int query(struct maps *m, uint64_t address, struct mapping *out) {
    struct procmap_query q = {.size = sizeof q,
                              .query_flags = PROCMAP_COVERING_OR_NEXT,
                              .query_addr = address,
                              .vma_name_size = sizeof m->text,
                              .vma_name_addr = (uint64_t)(uintptr_t)m->text};
    m->text[0] = '\0';
    if (kernel_ioctl(m->fd, PROCMAP_QUERY, &q) != 0) {
        return errno == ENOENT ? 0 : -1;
    }
    *out = (struct mapping){.start = q.vma_start,
                            .end = q.vma_end,
                            .offset = q.vma_offset,
                            .protection = (unsigned)q.vma_flags & 7u,
                            .shared = (q.vma_flags & PROCMAP_SHARED) != 0,
                            .has_file = q.inode != 0};
    out->ours = is_ours(out, m->text);
    return 1;
}

// The next line, without its end; NULL after the last one.
static char *next_line(struct maps *m) {
    for (;;) {
        char *start = m->text + m->at;
        char *end = memchr(start, '\n', m->length - m->at);
        if (end != NULL) {
            *end = '\0';
            m->at = (size_t)(end - m->text) + 1;
            return start;
        }
        memmove(m->text, start, m->length - m->at);
        m->length -= m->at;
        m->at = 0;
        ssize_t n = m->length == sizeof m->text ? 0 : read(m->fd, m->text + m->length, sizeof m->text - m->length);
        if (n <= 0) {
            return NULL;
        }
        m->length += (size_t)n;
    }
}

static bool parse(char *line, struct mapping *out) {
    unsigned long start, end, offset, inode;
    char mode[8];
    int name = 0;
    if (sscanf(line, "%lx-%lx %4s %lx %*s %lu %n", &start, &end, mode, &offset, &inode, &name) < 5) {
        return false;
    }
    *out = (struct mapping){.start = start,
                            .end = end,
                            .offset = offset,
                            .protection = (mode[0] == 'r' ? PROT_READ : 0u) | (mode[1] == 'w' ? PROT_WRITE : 0u)
                                | (mode[2] == 'x' ? PROT_EXEC : 0u),
                            .shared = mode[3] == 's',
                            .has_file = inode != 0};
    out->ours = name > 0 && is_ours(out, line + name);
    return true;
}

static int search(struct maps *m, uint64_t address, struct mapping *out) {
    while (m->last.end <= address) {
        char *line = next_line(m);
        if (line == NULL) {
            return 0;
        }
        if (!parse(line, &m->last)) {
            return -1;
        }
    }
    *out = m->last;
    return 1;
}

int maps_at(struct maps *m, uint64_t address, struct mapping *out) {
    if (!m->plain) {
        int found = query(m, address, out);
        if (found >= 0 || errno != ENOTTY) {
            return found;
        }
        m->plain = true;
    }
    return search(m, address, out);
}
