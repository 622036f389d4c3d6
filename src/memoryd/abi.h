// What the kernel offers and musl's headers lack: seccomp notifications, PROCMAP_QUERY, kcmp, ptrace.
#ifndef RAMET_MEMORYD_ABI_H
#define RAMET_MEMORYD_ABI_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(__x86_64__) || !defined(__LP64__)
#error "memoryd knows the registers and system calls of x86-64 only"
#endif

// linux/seccomp.h
struct notif {
    uint64_t id;
    uint32_t pid, flags;
    int32_t nr;
    uint32_t arch;
    uint64_t ip;
    uint64_t args[6];
};

struct notif_reply {
    uint64_t id;
    int64_t val;
    int32_t error;
    uint32_t flags;
};

struct notif_sizes {
    uint16_t notif, reply, data;
};

_Static_assert(sizeof(struct notif) == 80 && sizeof(struct notif_reply) == 24, "as in linux/seccomp.h");

#define GET_NOTIF_SIZES 3u
#define NOTIF_RECV 0xc0502100ul
#define NOTIF_SEND 0xc0182101ul
#define NOTIF_ID_VALID 0x40082102ul
#define NOTIF_SET_FLAGS 0x40082104ul
#define NOTIF_SYNC_WAKE_UP 1ul
#define NOTIF_CONTINUE 1u

// linux/audit.h
#define ARCH_X86_64 0xc000003eu
#define ARCH_I386 0x40000003u
#define X32_BIT 0x40000000

// linux/fs.h, from Linux 6.11
struct procmap_query {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};

_Static_assert(sizeof(struct procmap_query) == 104, "as in linux/fs.h");

#define PROCMAP_QUERY 0xc0686611ul
#define PROCMAP_SHARED 0x8u
#define PROCMAP_COVERING_OR_NEXT 0x10u

// asm-generic/mman-common.h
#define ADVICE_DONTNEED 4u
#define ADVICE_FREE 8u
#define ADVICE_DONTNEED_LOCKED 24u
#define ADVICE_GUARD_INSTALL 102u
#define REMAP_ALL_FLAGS 7u
#define REMAP_DONTUNMAP 4u

// linux/kcmp.h
#define COMPARE_FILE 0ul
#define COMPARE_FILES 2ul

// The type of ioctl's second parameter differs between C libraries.
static inline long kernel_ioctl(int fd, unsigned long request, void *argument) {
    return syscall(SYS_ioctl, fd, request, argument);
}

#endif
