// The protocol's stable error codes (docs/guest-protocol.md, "Errors").
#ifndef RAMET_ERRORS_H
#define RAMET_ERRORS_H

#include <stdint.h>

enum error_code {
    E_PROTOCOL = 1,
    E_VERSION = 2,
    E_LIMIT = 3,
    E_INVALID = 4,
    E_UNSUPPORTED = 5,
    E_NOT_FOUND = 6,
    E_PERMISSION_DENIED = 7,
    E_EXISTS = 8,
    E_NOT_DIRECTORY = 9,
    E_IS_DIRECTORY = 10,
    E_NOT_EMPTY = 11,
    E_NO_SPACE = 12,
    E_READ_ONLY = 13,
    E_NAME_TOO_LONG = 14,
    E_LOOP = 15,
    E_NO_SUCH_USER = 16,
    E_NO_SUCH_PROCESS = 17,
    E_EXEC_FAILED = 18,
    E_TOO_MANY = 19,
    E_BUSY = 20,
    E_IO = 21,
    E_REFUSED = 22,
    E_TIMEOUT = 23,
    E_NOT_REGULAR = 24,
    E_CLOSED = 25,
    E_SHUTTING_DOWN = 26,
    E_NO_MEMORY = 27,
    E_NO_DATA = 28,
    E_CROSS_DEVICE = 29,
    E_BAD_CWD = 30,
};

// The code for an errno; E_IO for those without one of their own.
uint16_t code_of_errno(int err);

#endif
