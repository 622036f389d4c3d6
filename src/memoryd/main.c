// memoryd: makes memory that is mapped from a checkpoint's files behave as the anonymous memory it stands
// for.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "memoryd.h"
#include "target.h"

#define BACKLOG 128
#define TICK_MS 1000
#define DEFAULT_REPLACE_FROM (256u * 1024u)

struct options options = {.prefix = DEFAULT_PREFIX, .prefix_length = sizeof DEFAULT_PREFIX - 1,
                          .replace_from = DEFAULT_REPLACE_FROM};

static int listener = -1;
static bool draining;
static volatile sig_atomic_t asked_to_end;

static const struct option long_options[] = {
    {"prefix", required_argument, NULL, 'p'},
    {"replace-from", required_argument, NULL, 'r'},
    {"plain-maps", no_argument, NULL, 'm'},
    {"check", no_argument, NULL, 'c'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static bool kernel_suits(void) {
    struct notif_sizes sizes;
    if (syscall(SYS_seccomp, (unsigned long)GET_NOTIF_SIZES, 0ul, &sizes) != 0 || sizes.notif > NOTIF_ROOM
        || sizes.reply > sizeof(struct notif_reply)) {
        fprintf(stderr, "memoryd: this kernel's seccomp notifications are not known\n");
        return false;
    }
    if (syscall(SYS_kcmp, (long)getpid(), (long)getpid(), COMPARE_FILE, 0ul, 0ul) != 0) {
        fprintf(stderr, "memoryd: this kernel has no kcmp\n");
        return false;
    }
    if (!fill_possible()) {
        fprintf(stderr, "memoryd: this kernel does not let /proc/PID/mem write to protected memory\n");
        return false;
    }
    return true;
}

static bool parse_options(int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'p':
            options.prefix = optarg;
            options.prefix_length = strlen(optarg);
            break;
        case 'r':
            options.replace_from = strtoull(optarg, NULL, 10);
            break;
        case 'm':
            options.plain_maps = true;
            break;
        case 'c':
            exit(kernel_suits() ? 0 : 1);
        case 'v':
            printf("ramet memoryd %s\n", MEMORYD_VERSION);
            exit(0);
        default:
            return false;
        }
    }
    options.socket = optind == argc - 1 ? argv[optind] : "";
    size_t length = strlen(options.socket);
    return length > 0 && length < sizeof((struct sockaddr_un *)0)->sun_path && options.prefix_length > 1
        && options.prefix[0] == '/' && options.prefix[options.prefix_length - 1] == '/';
}

static void on_signal(int signo) {
    asked_to_end = signo != SIGCHLD ? 1 : asked_to_end;
}

// Signals come in while poll waits and at no other time.
static bool signals_init(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NOCLDSTOP};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 && sigaction(SIGCHLD, &action, NULL) == 0
        && sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0;
}

// Servers keep 0 to 2 and close the rest.
static bool open_standard(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    return fd < 0 || close(fd) == 0;
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int listen_on(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || (unlink(path) != 0 && errno != ENOENT)) {
        return -1;
    }
    mode_t before = umask(0177);
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    return bound && listen(fd, BACKLOG) == 0 ? fd : -1;
}

static void stop_listening(void) {
    if (listener >= 0) {
        unlink(options.socket);
        close(listener);
    }
    listener = -1;
}

// Before this is answered the socket is gone: whoever asks may put another one there.
void drain(void) {
    draining = true;
    stop_listening();
}

static bool has_ended(void) {
    return asked_to_end != 0 || (draining && sandbox_count() == 0 && !clients_any());
}

static void loop(void) {
    static struct pollfd fds[1 + MAX_CLIENTS];
    sigset_t none;
    sigemptyset(&none);
    for (int wait = sandboxes_tick(); !has_ended(); wait = sandboxes_tick()) {
        wait = clients_any() && (wait < 0 || wait > TICK_MS) ? TICK_MS : wait;
        struct timespec timeout = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
        fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        unsigned clients = clients_prepare(fds + 1);
        int ready = ppoll(fds, 1 + clients, wait < 0 ? NULL : &timeout, &none);
        if (ready > 0) {
            clients_handle(fds + 1, clients);
            if (fds[0].revents != 0 && listener >= 0) {
                clients_accept(listener);
            }
        }
        clients_expire();
    }
    // The serving processes go on: what they hold cannot be had a second time.
    stop_listening();
}

int main(int argc, char **argv) {
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: memoryd --check | [--prefix /DIRECTORY/] [--replace-from BYTES] [--plain-maps] SOCKET\n");
        return 2;
    }
    if (!open_standard() || !kernel_suits()) {
        return 1;
    }
    raise_file_limit();
    listener = signals_init() ? listen_on(options.socket) : -1;
    if (listener < 0) {
        fprintf(stderr, "memoryd: cannot listen on %s: %s\n", options.socket, strerror(errno));
        return 1;
    }
    loop();
    return 0;
}
