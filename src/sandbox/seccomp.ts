/**
 * The system calls that a sandbox may make. The filter holds for PID 1 too and is inherited by everything in
 * the sandbox; CRIU dumps and restores it with the processes. Numbers are from the kernel's uapi headers.
 */

export interface SeccompArg {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[];
}

export interface SeccompProfile {
  readonly defaultAction: "SCMP_ACT_ERRNO";
  readonly defaultErrnoRet: number;
  readonly syscalls: readonly SeccompRule[];
}

const eperm = 1;
const enosys = 38;

const words = (text: string): string[] => text.trim().split(/\s+/);

// Grouped by what they work on; names that an architecture lacks are skipped when the filter is built.
const files = words(`
  access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr
  flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr
  llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat
  open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
  readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink
  symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice
  write writev chroot`);
const memory = words(`
  brk get_mempolicy madvise mbind membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap
  msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise process_mrelease
  remap_file_pages set_mempolicy set_mempolicy_home_node cachestat mseal map_shadow_stack`);
const processes = words(`
  arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getegid
  geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage
  getsid gettid getuid ioprio_get ioprio_set kcmp kill pidfd_getfd pidfd_open pidfd_send_signal prctl
  prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall rseq sched_get_priority_max
  sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
  sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
  set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority
  setregid setresgid setresuid setreuid setrlimit setsid setuid tgkill times tkill vfork wait4 waitid`);
const signalsAndTime = words(`
  alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause rt_sigaction
  rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
  setitimer sigaltstack signalfd signalfd4 time timer_create timer_delete timer_getoverrun timer_gettime
  timer_settime timerfd_create timerfd_gettime timerfd_settime`);
const waitingAndQueues = words(`
  epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex
  futex_requeue futex_wait futex_waitv futex_wake io_cancel io_destroy io_getevents io_pgetevents io_setup
  io_submit mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd
  pipe pipe2 poll ppoll pselect6 select semctl semget semop semtimedop shmat shmctl shmdt shmget`);
const sockets = words(`
  accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg
  sendmsg sendto setsockopt shutdown socketpair`);
// sethostname and setdomainname are for PID 1, which alone has the capability they ask for.
const system = words("getcpu getrandom setdomainname sethostname sysinfo uname");

/**
 * Answered as by a kernel without them, so that libraries take their older way: clone3 hides its flags from
 * a filter; CRIU cannot dump io_uring, secret memory, userfaultfd or Landlock's domains.
 */
export const absentCalls = words(`
  clone3 io_uring_enter io_uring_register io_uring_setup landlock_add_rule landlock_create_ruleset
  landlock_restrict_self memfd_secret userfaultfd`);

// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: CRIU cannot dump nested namespaces.
const namespaceFlags = 0x7e020000;
// In clone() these low bits are the exit signal, so the flag means a namespace only in unshare().
const newTimeNamespace = 0x80;

/** AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what CRIU can dump, and little of the kernel besides. */
const socketFamilies = [1, 2, 10, 16];

/** PER_LINUX, PER_LINUX32, ADDR_NO_RANDOMIZE (debuggers), and the question "which is it now". */
const personalities = [0, 0x8, 0x40000, 0xffffffff];

/**
 * What no rule allows gets EPERM; a call newer than every one named here gets ENOSYS from runc. No
 * architecture is named: then the filter is for the machine's own and refuses the 32-bit entry points.
 */
export const seccompProfile: SeccompProfile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: eperm,
  syscalls: [
    allow([...files, ...memory, ...processes, ...signalsAndTime, ...waitingAndQueues, ...sockets, ...system]),
    allow(["clone"], without(namespaceFlags)),
    allow(["unshare"], without(namespaceFlags + newTimeNamespace)),
    ...socketFamilies.map((family) => allow(["socket"], is(family))),
    ...personalities.map((persona) => allow(["personality"], is(persona))),
    { names: absentCalls, action: "SCMP_ACT_ERRNO", errnoRet: enosys },
  ],
};

function allow(names: readonly string[], arg?: SeccompArg): SeccompRule {
  return { names, action: "SCMP_ACT_ALLOW", ...(arg === undefined ? {} : { args: [arg] }) };
}

function without(flags: number): SeccompArg {
  return { index: 0, value: flags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" };
}

function is(value: number): SeccompArg {
  return { index: 0, value, op: "SCMP_CMP_EQ" };
}
