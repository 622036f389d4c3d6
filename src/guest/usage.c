// Counters: what the guest is, what it holds, and what runs in the whole sandbox.
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define MAX_LOOKED_AT 4096u

struct totals {
    uint32_t processes, threads;
    uint64_t cpu_ticks, memory_pages;
};

void op_info(struct conn *c) {
    struct buf *b = &c->out;
    bool held = false;
    for (const struct proc *p = guest.procs; p != NULL; p = p->next) {
        held |= p->held;
    }
    size_t mark = frame_begin(b, FRAME_OK);
    put_u16(b, PROTOCOL_VERSION);
    put_u16(b, PROTOCOL_VERSION);
    put_str(b, GUEST_VERSION);
    put_u32(b, guest.running);
    put_u32(b, guest.conn_count);
    put_u64(b, guest.generation);
    put_u8(b, held);
    put_u32(b, MAX_CONNECTIONS);
    put_u32(b, MAX_PROCESSES);
    put_u32(b, MAX_REQUEST);
    put_u32(b, MAX_FRAME);
    frame_end(b, mark);
    conn_done(c);
}

static bool read_small(int dir, const char *name, char *to, size_t size) {
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0) {
        close(fd);
    }
    to[n > 0 ? n : 0] = '\0';
    return n > 0;
}

// proc(5): after "pid (comm) state" utime is the 12th field, stime the 13th, num_threads the 18th, rss
// the 22nd. comm may hold anything, so the last ')' counts.
static void add_process(int proc_dir, const char *pid, struct totals *t) {
    char name[32];
    char text[1024];
    snprintf(name, sizeof name, "%.16s/stat", pid);
    if (!read_small(proc_dir, name, text, sizeof text)) {
        return;
    }
    const char *p = strrchr(text, ')');
    p = p == NULL ? "" : p + 1;
    t->processes++;
    for (int field = 0; *p != '\0'; field++) {
        while (*p == ' ') {
            p++;
        }
        uint64_t value = strtoull(p, NULL, 10);
        t->cpu_ticks += field == 11 || field == 12 ? value : 0;
        t->threads += field == 17 ? (uint32_t)value : 0;
        t->memory_pages += field == 21 ? value : 0;
        p += strcspn(p, " ");
    }
}

static struct totals look_around(void) {
    struct totals t = {0};
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    while (dir != NULL && t.processes < MAX_LOOKED_AT && (entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            add_process(dirfd(dir), entry->d_name, &t);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return t;
}

static uint64_t own_pages(void) {
    char text[128];
    if (!read_small(AT_FDCWD, "/proc/self/statm", text, sizeof text)) {
        return 0;
    }
    const char *second = strchr(text, ' ');
    return second == NULL ? 0 : strtoull(second, NULL, 10);
}

static uint64_t output_kept(void) {
    uint64_t sum = 0;
    for (const struct proc *p = guest.procs; p != NULL; p = p->next) {
        sum += p->ring.end - p->ring.oldest;
    }
    return sum;
}

void op_usage(struct conn *c) {
    struct buf *b = &c->out;
    struct totals t = look_around();
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    int64_t uptime = now_ms() - guest.start_ms;
    size_t mark = frame_begin(b, FRAME_OK);
    put_u64(b, uptime > 0 ? (uint64_t)uptime : 0);
    put_u32(b, guest.running);
    put_u32(b, guest.exited);
    put_u32(b, guest.conn_count);
    put_u32(b, guest.helper_count);
    put_u64(b, output_kept());
    put_u64(b, own_pages() * page);
    put_u32(b, t.processes);
    put_u32(b, t.threads);
    put_u64(b, t.cpu_ticks * (1000000 / ticks));
    put_u64(b, t.memory_pages * page);
    frame_end(b, mark);
    conn_done(c);
}
