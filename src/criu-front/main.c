/*
 * criu-front: stands before CRIU in the PATH of the private containerd. For every dump and every restore runc starts
 * a CRIU of its own, only to be told its version, which takes 5 ms of a processor. That question is answered here at once
 * with what CRIU itself has said; for everything else this program becomes CRIU.
 *
 * It is PREFIX/front/criu, CRIU is PREFIX/bin/criu, and PREFIX/front/version has what `criu --record` printed: which
 * file answered, by its size and the time of its last change, and its answer. A CRIU that was exchanged since answers
 * for itself.
 *
 * CRIU's RPC (rpc.proto in its source): a request without options is `type`, field 1; 10 is VERSION. A reply begins
 * with its type and `success`, field 2. Both are one SOCK_SEQPACKET message.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPLY_MAX = 512, PATH_SIZE = 4096, SOCKET_FD = 3 };

static const uint8_t question[] = {0x08, 10};
static const uint8_t reply_start[] = {0x08, 10, 0x10, 1};

struct reply {
    uint8_t bytes[REPLY_MAX];
    size_t size;
};

/* Writes the path of a file of the prefix; false where it cannot be known. */
static bool path_in_prefix(char path[PATH_SIZE], const char *name) {
    char own[PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length <= 0 || (size_t)length >= sizeof own - 1) return false;
    own[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(own, '/');
        if (slash == NULL) return false;
        *slash = '\0';
    }
    int written = snprintf(path, PATH_SIZE, "%s/%s", own, name);
    return written > 0 && written < PATH_SIZE;
}

static bool describe_file(const char *path, char text[static 128]) {
    struct stat about;
    if (stat(path, &about) != 0) return false;
    snprintf(text, 128, "%jd %jd.%09ld", (intmax_t)about.st_size, (intmax_t)about.st_mtim.tv_sec,
             about.st_mtim.tv_nsec);
    return true;
}

static bool is_reply(const struct reply *reply) {
    return reply->size > sizeof reply_start && memcmp(reply->bytes, reply_start, sizeof reply_start) == 0;
}

static bool parse_hex(const char *text, struct reply *reply) {
    size_t digits = strspn(text, "0123456789abcdef");
    if (digits % 2 != 0 || digits / 2 > REPLY_MAX || strcmp(text + digits, "\n") != 0) return false;
    reply->size = digits / 2;
    for (size_t i = 0; i < reply->size; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) return false;
        reply->bytes[i] = (uint8_t)byte;
    }
    return is_reply(reply);
}

/* What CRIU has said, where it still is the same file. */
static bool recorded_reply(const char *criu, struct reply *reply) {
    char path[PATH_SIZE], now[128], then[128 + 1], hex[2 * REPLY_MAX + 2];
    if (!path_in_prefix(path, "front/version") || !describe_file(criu, now)) return false;
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    bool read = fgets(then, sizeof then, file) != NULL && fgets(hex, sizeof hex, file) != NULL;
    fclose(file);
    if (!read) return false;
    then[strcspn(then, "\n")] = '\0';
    return strcmp(then, now) == 0 && parse_hex(hex, reply);
}

static bool answer(int socket, const char *criu) {
    uint8_t message[sizeof question + 1];
    struct reply reply;
    /* It stays in the socket, for CRIU, unless it is answered here. */
    if (recv(socket, message, sizeof message, MSG_PEEK) != sizeof question) return false;
    if (memcmp(message, question, sizeof question) != 0 || !recorded_reply(criu, &reply)) return false;
    return recv(socket, message, sizeof message, 0) == sizeof question &&
           send(socket, reply.bytes, reply.size, MSG_NOSIGNAL) == (ssize_t)reply.size;
}

/* Asks CRIU as runc does, and prints which file answered, and its answer in hex. */
static int record(const char *criu) {
    int ends[2];
    char about[128];
    struct reply reply = {.size = 0};
    if (!describe_file(criu, about) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        fprintf(stderr, "criu-front: cannot ask %s: %s\n", criu, strerror(errno));
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        char socket[] = {'0' + SOCKET_FD, '\0'};
        if (dup2(ends[1], SOCKET_FD) == SOCKET_FD) execl(criu, criu, "swrk", socket, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (child > 0 && send(ends[0], question, sizeof question, MSG_NOSIGNAL) == sizeof question) {
        ssize_t got = recv(ends[0], reply.bytes, sizeof reply.bytes, 0);
        reply.size = got > 0 ? (size_t)got : 0;
    }
    close(ends[0]);
    if (child > 0) waitpid(child, NULL, 0);
    if (!is_reply(&reply)) {
        fprintf(stderr, "criu-front: %s did not say its version by RPC\n", criu);
        return 1;
    }
    printf("%s\n", about);
    for (size_t i = 0; i < reply.size; i++) printf("%02x", reply.bytes[i]);
    printf("\n");
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    char criu[PATH_SIZE];
    if (!path_in_prefix(criu, "bin/criu")) {
        fprintf(stderr, "criu-front: cannot find out where it is: %s\n", strerror(errno));
        return 127;
    }
    if (argc == 2 && strcmp(argv[1], "--record") == 0) return record(criu);
    if (argc == 3 && strcmp(argv[1], "swrk") == 0 && answer(atoi(argv[2]), criu)) return 0;
    execv(criu, argv);
    fprintf(stderr, "criu-front: cannot start %s: %s\n", criu, strerror(errno));
    return 127;
}
