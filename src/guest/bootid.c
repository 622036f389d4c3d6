// On the host: shows the processes of a container the file BOOT_ID in place of the kernel's boot id.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bootid.h"

// Both are on mounts that the runtime made, whatever the image has there.
#define BOOT_ID "/.ramet/boot_id"
#define SHOWN_AT "/proc/sys/kernel/random/boot_id"

static bool enter(long pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/ns/mnt", pid);
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    return ns >= 0 && setns(ns, CLONE_NEWNS) == 0;
}

static bool show(void) {
    unsigned long kind = MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    return mount(BOOT_ID, SHOWN_AT, NULL, MS_BIND, NULL) == 0
        && mount(NULL, SHOWN_AT, NULL, kind | MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

int bootid_main(long pid) {
    if (!enter(pid) || !show()) {
        fprintf(stderr, "guest: cannot show process %ld its boot id: %s\n", pid, strerror(errno));
        return 1;
    }
    return 0;
}
