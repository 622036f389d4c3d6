// memoryd's parts: the sandboxes, their listeners, and how a notification is answered (docs/memoryd.md).
#ifndef RAMET_MEMORYD_H
#define RAMET_MEMORYD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"

#define MEMORYD_VERSION "1.0.0"
#define DEFAULT_PREFIX "/.ramet-memory/"
#define MAX_PATH_LENGTH 4096u
#define MAX_CLIENTS 64u
#define MAX_SANDBOXES 4096u
#define MAX_LISTENERS 4096u
#define MAX_HOLDERS 4096u
#define PAGE 4096ull
// The kernel may know a longer notification than this program.
#define NOTIF_ROOM 512u

// A set of listeners, without duplicates, in the kernel's order of open files.
struct listeners {
    int *fds;
    unsigned count, room;
};

// Where the serving process receives into. It is shared memory, so that its successor can answer what a
// killed one had received: nobody else would ever see that notification again.
struct progress {
    union {
        struct notif notif;
        uint8_t room[NOTIF_ROOM];
    };
    int listener;
    unsigned attempts;
};

struct sandbox {
    struct sandbox *next;
    char *path;
    struct listeners listeners;
    struct progress *progress;
    pid_t server;
    unsigned crashes;
    int64_t started, respawn_at;
};

struct options {
    const char *socket, *prefix;
    size_t prefix_length;
    bool plain_maps;
    // Bytes of a memory file's data from which on they are replaced, not overwritten.
    uint64_t replace_from;
};

extern struct options options;

// say.c: one line to stderr each.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// clock.c
int64_t now_ms(void);
void nap_us(int64_t us);

// listeners.c. add takes the descriptor in any case: 1 new, 0 known already, -1 with errno set.
int listeners_add(struct listeners *l, int fd);
bool listeners_has(const struct listeners *l, int fd);
void listeners_clear(struct listeners *l);

// sandboxes.c
struct sandbox *sandbox_for(const char *path);
void sandbox_drop(struct sandbox *s);
bool sandbox_serve(struct sandbox *s);
unsigned sandbox_count(void);
// Reaps and respawns serving processes; the milliseconds until it has to be called again, -1 for none.
int sandboxes_tick(void);

// adopt.c
struct adoption {
    unsigned adopted, pending;
    char error[160];
};
bool adopt(const char *path, struct adoption *result);

// holders.c: the threads whose descriptor tables hold listeners.
struct holder {
    pid_t pid, tid;
    bool closed;
    // Why not, for the log; NULL while nothing has been tried.
    const char *reason;
};
struct scan {
    struct listeners *listeners;
    struct holder *holders;
    unsigned holder_count, fresh;
    int64_t deadline;
    const char *error;
};
bool scan_processes(const char *path, struct scan *scan);

// table.c: a thread's descriptor table. Calls each for every listener in it, which returns false to end.
bool table_each(pid_t pid, pid_t tid, bool (*each)(void *owner, int number), void *owner);
bool table_same(pid_t a, pid_t b);
int table_take(int pidfd, int number);
int table_open(pid_t pid, pid_t tid);

// closer.c: closes what is known in each holder, from a process of its own; fills in closed and reason.
bool close_in_holders(const struct listeners *known, struct holder *holders, unsigned count);

// server.c: answers until nobody can ask any more.
_Noreturn void serve(const struct listeners *l, struct progress *p);

// clients.c
void clients_accept(int listener);
struct pollfd;
unsigned clients_prepare(struct pollfd *fds);
void clients_handle(const struct pollfd *fds, unsigned count);
void clients_expire(void);
bool clients_any(void);

// Listens no more, and ends once it serves nothing.
void drain(void);

#endif
