/*
 * Takes the seccomp listener of a process and answers every call with EUCLEAN, until the process has ended. Prints the
 * number of each call. Usage: listener PID
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int find_listener(const char *pid)
{
	char path[600], target[100];
	struct dirent *entry;
	int found = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = 0;
		if (strcmp(target, "anon_inode:seccomp notify") == 0)
			found = atoi(entry->d_name);
	}
	return found;
}

int main(int argc, char **argv)
{
	int there = argc < 2 ? -1 : find_listener(argv[1]);
	int process, listener;

	if (there < 0)
		return 2;
	process = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	listener = syscall(SYS_pidfd_getfd, process, there, 0);
	if (listener < 0)
		return 3;
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		struct pollfd wait[] = {{.fd = listener, .events = POLLIN}, {.fd = process, .events = POLLIN}};
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {0};

		poll(wait, 2, -1);
		if (wait[1].revents != 0 || (wait[0].revents & POLLHUP) != 0)
			return 0;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
			continue;
		printf("%d\n", call.data.nr);
		fflush(stdout);
		answer.id = call.id;
		answer.error = -EUCLEAN;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}
