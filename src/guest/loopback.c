// As a hook of the OCI runtime, on the host: brings the loopback of a container's network namespace up.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

#define STATE_MAX (1024u * 1024u)

// The container's state as JSON (runtime-spec, State). Its only number with this key is its first process.
static long read_pid(void) {
    static char state[STATE_MAX + 1];
    size_t size = 0;
    ssize_t n;
    while ((n = read(0, state + size, STATE_MAX - size)) > 0) {
        size += (size_t)n;
    }
    const char *found = strstr(state, "\"pid\":");
    return n < 0 || found == NULL ? 0 : strtol(found + strlen("\"pid\":"), NULL, 10);
}

static bool enter(long pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/ns/net", pid);
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    return ns >= 0 && setns(ns, CLONE_NEWNET) == 0;
}

static bool raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
        return false;
    }
    request.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

int loopback_main(void) {
    long pid = read_pid();
    if (pid <= 0) {
        fprintf(stderr, "guest: no container's state on standard input\n");
        return 1;
    }
    if (!enter(pid) || !raise_loopback()) {
        fprintf(stderr, "guest: cannot bring the loopback of process %ld up: %s\n", pid, strerror(errno));
        return 1;
    }
    return 0;
}
