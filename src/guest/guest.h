// The guest's state: options, connections and processes, shared by the parts of the event loop.
#ifndef RAMET_GUEST_H
#define RAMET_GUEST_H

#include <poll.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "errors.h"
#include "request.h"
#include "ring.h"
#include "wire.h"

#define GUEST_VERSION "1.0.0"
#define MAX_CONNECTIONS 1024u
#define MAX_PROCESSES 1024u
#define MAX_EXITED 64u
#define MAX_RING_TOTAL (128u * 1024u * 1024u)
#define MAX_PENDING_INPUT (64u * 1024u)
#define MAX_HELPERS 16u
#define MAX_WATCHES 64u
#define SCRATCH (64u * 1024u)

struct conn;
struct proc;

enum verdict { TAKEN, PARKED };

// What a connection is doing. NULL members: no frames are expected, nothing to produce, nothing to undo.
struct role {
    enum verdict (*frame)(struct conn *c, const struct frame *f);
    // Called while nothing is waiting to be sent; may queue the next frames.
    void (*fill)(struct conn *c);
    // The connection goes away; by_host is false when the guest itself drops it.
    void (*gone)(struct conn *c, bool by_host);
};

struct reader {
    struct proc *proc;
    // Everything before floor has reached the socket; cursor is the next byte to queue.
    uint64_t floor, cursor, stop;
    bool input, has_stop;
};

struct relay {
    int fd;
    struct buf to_inner;
    // deaf: the inner side takes nothing any more.
    bool connecting, try_v6, from_host_end, from_inner_end, told_inner, told_host, host_gone, deaf;
};

struct conn {
    struct conn *next;
    int fd;
    const struct role *role;
    struct buf in, out;
    // parked: a frame waits for room and nothing more is read. closing: close once `out` is sent, and with
    // linger only when the host has closed too or some time has passed.
    bool started, input_end, parked, closing, linger, lingering, dead, raw;
    int64_t deadline;
    // The request and the memory that its strings lie in.
    struct request request;
    uint8_t *text;
    struct reader reader;
    struct relay relay;
    uint64_t list_after;
    uint32_t list_sent;
};

enum proc_state { PROC_STARTING, PROC_RUNNING, PROC_EXITED };

struct proc {
    struct proc *next;
    uint64_t id;
    pid_t pid;
    enum proc_state state;
    // out[0] is stdout or the pty, out[1] stderr; in is the pipe to stdin (for a pty: out[0]).
    int out[2], in, error_pipe;
    size_t drain_left[2];
    int64_t drain_deadline;
    // When to look again at a terminal that no process has open; 0 while one has.
    int64_t away_until;
    struct ring ring;
    struct buf input;
    bool pty, input_end, reaped, drained, held, dead;
    uint64_t exit_seq;
    int wait_status;
    struct rusage usage;
    int64_t started_ms, ended_ms;
    struct conn *spawner, *killer;
    unsigned readers;
    char *tag, *user, *cwd;
    struct buf argv;
    uint32_t argc;
    bool argv_cut;
};

struct helper {
    struct helper *next;
    pid_t pid;
    bool watch;
};

struct options {
    const char *socket, *generation_file;
    uint64_t child_caps;
    bool allow_new_privs, has_oom;
    int oom_score_adj;
    struct rlimit files;
};

struct guest {
    struct options options;
    int listener, signal_pipe[2];
    struct conn *conns;
    struct proc *procs;
    struct helper *helpers;
    unsigned conn_count, running, exited, helper_count, watch_count, starting;
    uint64_t next_proc_id, generation, ring_total;
    struct list env;
    char *env_text;
    int64_t start_ms;
    // Quiesce: the connection that asked, until helpers and spawns are gone; then only the hold counts on.
    struct conn *quiescing;
    int64_t quiesce_deadline, hold_left, hold_tick;
    bool shutting_down, killed;
    int64_t term_deadline, exit_deadline;
};

extern struct guest guest;
extern uint8_t scratch[SCRATCH];

// loop.c
int64_t now_ms(void);
int64_t wall_ms(void);
void loop_run(void);
bool poll_add(int fd, short events, void (*ready)(void *owner, int which, short events), void *owner,
              int which);

// signals.c
bool signals_init(void);
void signals_handle(void *owner, int which, short events);
void reap_children(void);

// conn.c
void conn_accept(void *owner, int which, short events);
void conn_prepare(struct conn *c);
void conn_done(struct conn *c);
void conn_fail(struct conn *c, uint16_t code, int err, const char *message);
void conn_fail_errno(struct conn *c, int err, const char *what);
void conn_ok(struct conn *c);
void conn_drop(struct conn *c, bool by_host);
void conns_sweep(void);

// operations.c
extern const struct role role_new;

// proc.c
struct proc *proc_new(const struct request *q);
struct proc *proc_target(const struct request *q);
void proc_remove(struct proc *p);
void proc_exited(struct proc *p, int status, const struct rusage *usage);
void proc_limit_exited(void);
void procs_sweep(void);
void proc_lift_holds(void);
void put_exit_record(struct buf *b, const struct proc *p, uint64_t seq);

// procio.c
void proc_prepare(struct proc *p);
uint64_t proc_floor(const struct proc *p);
bool proc_takes_input(const struct proc *p);
bool proc_has_room(const struct proc *p);
void proc_input(struct proc *p, const uint8_t *data, size_t n);
void proc_input_end(struct proc *p);
void proc_close_input(struct proc *p);
void proc_close_output(struct proc *p, int which);
void proc_check_drained(struct proc *p);

// spawn.c and child.c
void op_spawn(struct conn *c);
void spawn_resolve(struct proc *p);
struct spawn_error {
    uint16_t code;
    int32_t err;
    char message[80];
};
struct child_fds {
    int fds[3];
    int error_pipe;
    bool pty;
};
_Noreturn void child_exec(const struct request *q, const struct child_fds *fds);
struct user;
// Drops to the user for good: capability mask, groups, ids. 0 or an errno.
int become_user(const struct user *u);
void child_reset(void);
void close_from(int first);

// attach.c
extern const struct role role_reader;
void reader_start(struct conn *c, struct proc *p, uint64_t from);
void op_attach(struct conn *c);
void op_wait(struct conn *c);
void readers_lost(struct proc *p);

// control.c
void op_stdin(struct conn *c);
void op_signal(struct conn *c);
void op_resize(struct conn *c);
void op_forget(struct conn *c);
void op_list(struct conn *c);
// The user that the request names. Where there is none, that has been answered.
bool user_of_request(struct conn *c, struct user *user);
void op_user(struct conn *c);

// dial.c and relay.c
void op_dial(struct conn *c);
void dial_decided(struct conn *c);
void relay_start(struct conn *c);
void relay_prepare(struct conn *c);
void relay_close(struct conn *c, bool reset);
extern const struct role role_relay;

// quiesce.c
void op_quiesce(struct conn *c);
void op_release(struct conn *c);
void quiesce_tick(int64_t now);

// childenv.c, identity.c, usage.c, shutdown.c
void op_environment(struct conn *c);
void op_identity(struct conn *c);
bool env_init(char **environ_at_start);
void op_info(struct conn *c);
void op_usage(struct conn *c);
void op_shutdown(struct conn *c);
void shutdown_begin(int64_t grace_ms);
void shutdown_tick(int64_t now, bool no_children);

// helper.c
extern const struct role role_none;
void op_file(struct conn *c);
bool helper_reaped(pid_t pid);
// Ends a helper that has not finished, after it has taken away what it has begun. Not one that the guest handles: a
// helper may get it before it has left the guest's handlers behind.
#define HELPER_CUT SIGUSR1
void helpers_signal(int signal);

#endif
