// The guest: PID 1 of a sandbox. Options, descriptors, listening socket; then the event loop.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bootid.h"
#include "guest.h"
#include "loopback.h"

// A full queue makes connect fail at once with EAGAIN, so it is longer than any burst.
#define BACKLOG 4096
#define DEFAULT_CHILD_CAPS 0xa80425fbu

struct guest guest = {
    .options = {.child_caps = DEFAULT_CHILD_CAPS},
    .listener = -1,
    .next_proc_id = 1,
};
uint8_t scratch[SCRATCH];

extern char **environ;

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"generation-file", required_argument, NULL, 'g'},
    {"child-caps", required_argument, NULL, 'c'},
    {"allow-new-privs", no_argument, NULL, 'p'},
    {"child-oom-score-adj", required_argument, NULL, 'o'},
    {"loopback", no_argument, NULL, 'l'},
    {"show-boot-id", required_argument, NULL, 'b'},
    {"version", no_argument, NULL, 'v'},
    {NULL, 0, NULL, 0},
};

static bool parse_number(const char *text, int base, long long low, long long high, long long *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, base);
    return errno == 0 && end != text && *end == '\0' && *out >= low && *out <= high;
}

static bool apply_option(int option, const char *value) {
    struct options *o = &guest.options;
    long long number = 0;
    switch (option) {
    case 's':
        o->socket = value;
        return true;
    case 'g':
        o->generation_file = value;
        return true;
    case 'c':
        o->child_caps = 0;
        if (!parse_number(value, 16, 0, INT64_MAX, &number)) {
            return false;
        }
        o->child_caps = (uint64_t)number;
        return true;
    case 'p':
        o->allow_new_privs = true;
        return true;
    case 'o':
        o->has_oom = parse_number(value, 10, -1000, 1000, &number);
        o->oom_score_adj = (int)number;
        return o->has_oom;
    case 'l':
        exit(loopback_main());
    case 'b':
        if (!parse_number(value, 10, 1, INT32_MAX, &number)) {
            return false;
        }
        exit(bootid_main((long)number));
    case 'v':
        printf("ramet guest %s, protocol %u\n", GUEST_VERSION, PROTOCOL_VERSION);
        exit(0);
    default:
        return false;
    }
}

static const char *beside_socket(const char *name) {
    static char path[4200];
    const char *slash = strrchr(guest.options.socket, '/');
    int dir = slash == NULL ? 0 : (int)(slash - guest.options.socket) + 1;
    snprintf(path, sizeof path, "%.*s%s", dir, guest.options.socket, name);
    return path;
}

static bool parse_options(int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!apply_option(option, optarg)) {
            return false;
        }
    }
    size_t length = guest.options.socket == NULL ? 0 : strlen(guest.options.socket);
    if (optind != argc || length == 0 || length >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return false;
    }
    if (guest.options.generation_file == NULL) {
        guest.options.generation_file = beside_socket("generation");
    }
    return true;
}

// Descriptors 0 to 2 have to be taken, or a pipe of a child could end up as one of them.
static bool open_standard(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0) {
            return fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0;
        }
    } while (fd <= 2);
    close(fd);
    return true;
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        guest.options.files = limit;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// A directory of /dev and no mount of its own: each tmpfs costs a dump and a restore an archive.
static void make_shm(void) {
    mode_t before = umask(0);
    mkdir("/dev/shm", 01777);
    umask(before);
}

static bool listen_on(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || (unlink(path) != 0 && errno != ENOENT)) {
        return false;
    }
    mode_t before = umask(0177);
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    if (!bound || listen(fd, BACKLOG) != 0) {
        return false;
    }
    guest.listener = fd;
    return true;
}

int main(int argc, char **argv) {
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: guest --socket PATH [--generation-file PATH] [--child-caps HEX] "
                        "[--allow-new-privs] [--child-oom-score-adj N]\n");
        return 2;
    }
    if (!open_standard() || !signals_init() || !env_init(environ)
        || !listen_on(guest.options.socket)) {
        fprintf(stderr, "guest: cannot listen on %s: %s\n", guest.options.socket, strerror(errno));
        return 1;
    }
    make_shm();
    raise_file_limit();
    umask(022);
    guest.start_ms = now_ms();
    loop_run();
    return 0;
}
