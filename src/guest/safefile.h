// Files that the guest reads and writes as root in directories which the sandbox may have tampered with:
// no symbolic link is followed, and nothing but a regular file is opened.
#ifndef RAMET_SAFEFILE_H
#define RAMET_SAFEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// A descriptor of the directory, or -1 (a link, no directory, missing).
int safe_directory(const char *path);

// The whole file as a C string, at most `most` bytes; NULL if there is none. The caller frees.
char *safe_read(int dir, const char *name, size_t most);

// Replaces the file by way of a temporary one; writes in place where it cannot be replaced (a mount).
bool safe_write(int dir, const char *name, const void *data, size_t n, mode_t mode);

#endif
