// A set of listeners. All of them have one inode, so only kcmp can tell whether two are the same.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memoryd.h"

// 0 equal, 1 less, 2 greater, in an order that is fixed while the machine is up; -1 with errno set.
static long compare(int a, int b) {
    long self = getpid();
    return syscall(SYS_kcmp, self, self, COMPARE_FILE, (unsigned long)a, (unsigned long)b);
}

// The place of fd: an equal one (1), or where it belongs (0). -1 with errno set.
static int find(const struct listeners *l, int fd, unsigned *place) {
    unsigned low = 0, high = l->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        long order = compare(fd, l->fds[middle]);
        if (order == 0) {
            *place = middle;
            return 1;
        }
        if (order != 1 && order != 2) {
            return -1;
        }
        if (order == 1) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *place = low;
    return 0;
}

static bool make_room(struct listeners *l) {
    if (l->count < l->room) {
        return true;
    }
    if (l->count >= MAX_LISTENERS) {
        errno = EMFILE;
        return false;
    }
    unsigned room = l->room == 0 ? 8 : l->room * 2;
    int *fds = realloc(l->fds, room * sizeof *fds);
    if (fds == NULL) {
        return false;
    }
    l->fds = fds;
    l->room = room;
    return true;
}

int listeners_add(struct listeners *l, int fd) {
    unsigned place = 0;
    int found = find(l, fd, &place);
    if (found == 0 && make_room(l)) {
        memmove(l->fds + place + 1, l->fds + place, (l->count - place) * sizeof *l->fds);
        l->fds[place] = fd;
        l->count++;
        return 1;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return found == 1 ? 0 : -1;
}

bool listeners_has(const struct listeners *l, int fd) {
    unsigned place;
    return find(l, fd, &place) == 1;
}

void listeners_clear(struct listeners *l) {
    for (unsigned i = 0; i < l->count; i++) {
        close(l->fds[i]);
    }
    free(l->fds);
    *l = (struct listeners){0};
}
