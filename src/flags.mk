# Compilers and their flags, for the programs in C.
MUSL_CC ?= musl-gcc
CC = gcc

WARNINGS := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wpointer-arith \
  -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wcast-qual
DEFINES := -D_GNU_SOURCE
HARDENED := -fstack-protector-strong -fno-plt -ftrapv -D_FORTIFY_SOURCE=2
LINK_HARDENED := -static -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1
