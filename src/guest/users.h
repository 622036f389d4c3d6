// Users and groups of the sandbox, from its own /etc/passwd and /etc/group.
#ifndef RAMET_USERS_H
#define RAMET_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MAX_GROUPS 64

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[MAX_GROUPS];
    size_t group_count;
    char name[64];
    char home[256];
    char shell[256];
};

// Both files' text, read once; NULL where a file is missing or no regular file.
struct user_files {
    char *passwd, *group;
};

void user_files_load(struct user_files *f);
void user_files_free(struct user_files *f);

// Resolves "", name, uid, name:group, uid:gid. False: no such user or group.
bool user_find(const struct user_files *f, const char *spec, struct user *out);

// Copies the name of an id (at most n bytes with the NUL); empty if there is none.
void user_name_of(const struct user_files *f, uid_t uid, char *to, size_t n);
void group_name_of(const struct user_files *f, gid_t gid, char *to, size_t n);

#endif
