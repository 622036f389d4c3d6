// The environment of a spawned process and the search for its command.
#ifndef RAMET_CHILDENV_H
#define RAMET_CHILDENV_H

#include "request.h"
#include "users.h"

// The entries that come from the user and the guest itself.
struct own_entries {
    char home[sizeof "HOME=" + sizeof((struct user *)0)->home];
    char user[sizeof "USER=" + sizeof((struct user *)0)->name];
    char logname[sizeof "LOGNAME=" + sizeof((struct user *)0)->name];
    char shell[sizeof "SHELL=" + sizeof((struct user *)0)->shell];
    char generation[48];
};

// In the order that docs/guest-protocol.md gives; NULL without memory. The array is the caller's; its entries are those
// of q, of the guest and of own.
char **child_environment(const struct request *q, const struct user *u, struct own_entries *own);

// execve along PATH of env. Returns only on failure, with errno set.
void exec_search(char **argv, char **env);

#endif
