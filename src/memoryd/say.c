// The log: whole lines to stderr, so that lines of several processes do not mix.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "memoryd.h"

void say(const char *format, ...) {
    char line[512] = "memoryd: ";
    size_t start = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line + start, sizeof line - start - 1, format, arguments);
    va_end(arguments);
    size_t length = n < 0 ? start : start + (size_t)n;
    length = length > sizeof line - 2 ? sizeof line - 2 : length;
    line[length] = '\n';
    ssize_t written = write(2, line, length + 1);
    (void)written;
}
