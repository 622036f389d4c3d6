// The environment of a spawned process and the search for its command.
#ifndef RAMET_CHILDENV_H
#define RAMET_CHILDENV_H

#include "request.h"
#include "users.h"

// In the order that docs/guest-protocol.md gives; NULL without memory. Never freed: execve follows.
char **child_environment(const struct request *q, const struct user *u);

// execve along PATH of env. Returns only on failure, with errno set.
void exec_search(char **argv, char **env);

#endif
