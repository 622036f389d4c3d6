// Maps errno to the protocol's error codes.
#include "errors.h"

#include <errno.h>
#include <stddef.h>

static const struct {
    int err;
    enum error_code code;
} table[] = {
    {E2BIG, E_LIMIT},
    {EINVAL, E_INVALID},
    {EOPNOTSUPP, E_UNSUPPORTED},
    {ENOSYS, E_UNSUPPORTED},
    {ENOENT, E_NOT_FOUND},
    {EACCES, E_PERMISSION_DENIED},
    {EPERM, E_PERMISSION_DENIED},
    {EEXIST, E_EXISTS},
    {ENOTDIR, E_NOT_DIRECTORY},
    {EISDIR, E_IS_DIRECTORY},
    {ENOTEMPTY, E_NOT_EMPTY},
    {ENOSPC, E_NO_SPACE},
    {EDQUOT, E_NO_SPACE},
    {EFBIG, E_NO_SPACE},
    {EROFS, E_READ_ONLY},
    {ENAMETOOLONG, E_NAME_TOO_LONG},
    {ELOOP, E_LOOP},
    {ESRCH, E_NO_SUCH_PROCESS},
    {EMFILE, E_TOO_MANY},
    {ENFILE, E_TOO_MANY},
    {EAGAIN, E_TOO_MANY},
    {EBUSY, E_BUSY},
    {ETXTBSY, E_BUSY},
    {ECONNREFUSED, E_REFUSED},
    {ETIMEDOUT, E_TIMEOUT},
    {EHOSTUNREACH, E_TIMEOUT},
    {ENETUNREACH, E_TIMEOUT},
    {EPIPE, E_CLOSED},
    {ENOMEM, E_NO_MEMORY},
    {ENODATA, E_NO_DATA},
    {EXDEV, E_CROSS_DEVICE},
    {ENXIO, E_NOT_REGULAR},
};

uint16_t code_of_errno(int err) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].err == err) {
            return (uint16_t)table[i].code;
        }
    }
    return E_IO;
}
