/**
 * Why CRIU gives up, by the text it logs (taken from CRIU 4.2's sources), in words for people. The first line of the
 * log that any rule knows is the cause, the lines after it only follow. The order of the rules matters only where two
 * know the same line: the first of them holds.
 */
import type { ErrorCode } from "../lib/errors.js";

export interface KnownCause {
  readonly line: RegExp;
  readonly code: ErrorCode;
  /** `$1`… stand for the groups of `line`. */
  readonly says: string;
  readonly hint: string;
}

/** Of what failed for want of memory. */
export const memoryHint = "free memory on the node, or raise the sandbox's memory limit";
const closeIt = "close it in the sandbox and try again";
const otherHost = "restore it on a machine like the one it was taken on";
const damaged = "check it with `ramet checkpoint verify`; restore another checkpoint";

const dumpCauses: readonly KnownCause[] = [
  {
    // The kernel refuses to pass io_uring's descriptors to another process, which is how CRIU looks at them.
    line: /send_fds failed \(-22\)|anon_inode:\[io_uring\]/,
    code: "failed_precondition",
    says: "a process uses io_uring, which cannot be dumped",
    hint: "turn io_uring off in that program (UV_USE_IO_URING=0 for Node)",
  },
  {
    line: /External socket is used|Can't dump name-less external socket/,
    code: "failed_precondition",
    says: "a unix socket is connected to a process outside of the sandbox",
    hint: closeIt,
  },
  {
    line: /Can't dump ghost file (.+) of (\d+) size, increase limit/,
    code: "failed_precondition",
    says: "$1 is deleted, still open, and with $2 bytes too large to be kept in a checkpoint",
    hint: "close it, or keep such a file under a name",
  },
  {
    line: /Can't create link remap for \/\.ramet\/memory\/(\S+)\. Use link-remap/,
    code: "failed_precondition",
    says: "its memory file $1 was taken away by hand",
    hint: "save its files with `ramet commit`, then delete it; see `ramet doctor`",
  },
  {
    line: /Can't create link remap for (.+)\. Use link-remap/,
    code: "failed_precondition",
    says: "$1 is open under a name that is gone, while other names of it exist",
    hint: closeIt,
  },
  {
    line: /Can't dump file \d+ of that type \[\d+\] \((.*?)\)?$/,
    code: "failed_precondition",
    says: "an open file is of a kind that cannot be dumped: $1",
    hint: closeIt,
  },
  {
    line: /ctty inheritance detected|no PTY peer with sid\/pgrp needed/,
    code: "failed_precondition",
    says: "a program in a terminal session has /dev/tty open (an interactive sh or a password prompt, say)",
    hint: "use bash in interactive sessions, or end that session first",
  },
  {
    line: /Unknown socket collected \(family (\d+)\)/,
    code: "failed_precondition",
    says: "an open socket is of a kind that cannot be dumped (address family $1)",
    hint: closeIt,
  },
  {
    line: /Connected TCP socket, consider using/,
    code: "failed_precondition",
    says: "a TCP connection is open",
    hint: closeIt,
  },
  {
    line: /fsnotify:\s*Can't dump that handle|irmap: Can't/,
    code: "failed_precondition",
    says: "an inotify or fanotify watch is on a file that cannot be found again",
    hint: "end the program that watches files and try again",
  },
  {
    line: /Nested mount namespaces are not supported|Can't dump nested (?:\w+) namespace/,
    code: "failed_precondition",
    says: "a process is in namespaces of its own: containers inside a sandbox cannot be dumped",
    hint: "end the inner container and try again",
  },
  {
    line: /mnt: \d+:(\S+) doesn't have a proper root mount|Mount \d+:(\S+) is autodetected external/,
    code: "failed_precondition",
    says: "the mount $1$2 was not there when the sandbox started and cannot be dumped",
    hint: "unmount it in the sandbox and try again",
  },
  {
    line: /FS mnt (\S+) dev \S+ root \S+ unsupported/,
    code: "failed_precondition",
    says: "the file system mounted at $1 cannot be dumped",
    hint: "unmount it in the sandbox and try again",
  },
  {
    line: /Can't lookup mount=-?\d+ for fd=-?\d+ path=(.*)/,
    code: "failed_precondition",
    says: "$1 is open and lies in none of the sandbox's mounts",
    hint: closeIt,
  },
  {
    line: /Some file locks are hold by dumping tasks/,
    code: "failed_precondition",
    says: "a file lock is held that cannot be dumped",
    hint: "release the lock and try again",
  },
  {
    line: /Unseizable non-zombie (\d+) found, state t/,
    code: "failed_precondition",
    says: "process $1 is traced by another one, such as a debugger or strace",
    hint: "end the debugger and try again",
  },
  {
    line: /Timeout reached\. Try to interrupt/,
    code: "failed_precondition",
    says: "its processes could not be stopped in time: one is traced by a debugger, or hangs in the kernel",
    hint: "end the debugger, or look for a process in state D or t, and try again",
  },
  {
    line: /packetized mode for pipes is not supported/,
    code: "failed_precondition",
    says: "a pipe in packet mode (O_DIRECT) is open",
    hint: closeIt,
  },
  {
    line: /Control messages in queue, not supported/,
    code: "failed_precondition",
    says: "an unread message with control data is in a socket",
    hint: "let the program read it and try again",
  },
  {
    line: /Unable to freeze cgroup (\S+)/,
    code: "unavailable",
    says: "its processes could not be stopped in time",
    hint: "a process hangs in the kernel, often on input or output; look for state D, then try again",
  },
  {
    line: /Found slave peer index \d+ without|Only one slave external peer/,
    code: "failed_precondition",
    says: "a terminal whose other end is outside of the sandbox is open",
    hint: closeIt,
  },
];

const restoreCauses: readonly KnownCause[] = [
  {
    line: /File (\S+) has bad (?:size|mode|build-ID)/,
    code: "failed_precondition",
    says: "/$1 is not the file that it was when the checkpoint was taken",
    hint: "the sandbox's files do not belong to this checkpoint; restore another one",
  },
  {
    line: /Can't open file (\S+) on restore: No such file/,
    code: "failed_precondition",
    says: "/$1 was open when the checkpoint was taken and is not there",
    hint: "the sandbox's files do not belong to this checkpoint; restore another one",
  },
  {
    line: /Can't fork for (\d+): File exists|Pid \d+ do not match expected (\d+)/,
    code: "failed_precondition",
    says: "pid $1$2 is taken already",
    hint: "something else runs in the new sandbox's pid namespace; try again",
  },
  {
    line: /Can't bind inet socket .*(Address already in use|Cannot assign requested address)/,
    code: "failed_precondition",
    says: "a socket cannot have its address back: $1",
    hint: "give the new sandbox the same inner address as its source",
  },
  {
    line: /Can't restore pipe size: Operation not permitted/,
    code: "resource_exhausted",
    says: "the sandboxes' pipes reach the kernel's limit for one user",
    hint: "sysctl fs.pipe-user-pages-soft=0, and let the agent raise limits (host.limits)",
  },
  {
    line: /Can't create inotify for .*: Too many open files/,
    code: "resource_exhausted",
    says: "the sandboxes' inotify instances reach the kernel's limit for one user",
    hint: "sysctl fs.inotify.max_user_instances=65536, and let the agent raise limits (host.limits)",
  },
  {
    line: /Connected TCP socket in image/,
    code: "failed_precondition",
    says: "the checkpoint has an open TCP connection in it",
    hint: "take the checkpoint anew with this release",
  },
  {
    line: /External socket found in image/,
    code: "failed_precondition",
    says: "the checkpoint has a connection to the outside in it",
    hint: "take the checkpoint anew with this release",
  },
  {
    line: /Magic doesn't match for (\S+)|Failed unpacking object \S+ from (?:\S*\/)?(\S+)/,
    code: "failed_precondition",
    says: "the checkpoint is damaged: $1$2",
    hint: damaged,
  },
  {
    line: /Not supported images version (\d+)/,
    code: "failed_precondition",
    says: "the checkpoint is of another CRIU's format (version $1)",
    hint: "restore it with the CRIU that it was taken with",
  },
  {
    line: /Can't read memory page|Can't read pages|Unexpected EOF/i,
    code: "failed_precondition",
    says: "the checkpoint's memory is incomplete",
    hint: damaged,
  },
  {
    line: /CPU (?:instruction )?capabilities do not match|FPU feature required by image|CPU xsave/,
    code: "failed_precondition",
    says: "this machine's processor lacks what the checkpoint needs",
    hint: otherHost,
  },
  {
    line: /(apparmor|selinux) LSM specified but/,
    code: "failed_precondition",
    says: "the checkpoint was taken under $1, which this machine has not",
    hint: otherHost,
  },
  {
    line: /No mapping for \d+:(\S+) mountpoint/,
    code: "internal",
    says: "nothing is mounted at $1, where the checkpoint expects something from outside",
    hint: "the checkpoint was taken by another release; restore it with that one",
  },
];

const anyCauses: readonly KnownCause[] = [
  {
    line: /No space left on device|Disk quota exceeded/,
    code: "resource_exhausted",
    says: "the disk is full",
    hint: "free space in the node's data directory; deleting checkpoints helps",
  },
  {
    line: /Cannot allocate memory|Out of memory/i,
    code: "resource_exhausted",
    says: "there is not enough memory",
    hint: memoryHint,
  },
  {
    line: /Too many open files/,
    code: "resource_exhausted",
    says: "too many files are open",
    hint: "raise the limit of open files (LimitNOFILE) of containerd",
  },
  {
    line: /Locking network failed|Iptables configuration failed/,
    code: "failed_precondition",
    says: "the sandbox's network could not be locked",
    hint: "set `network-lock skip` in CRIU's configuration, or install iptables",
  },
  {
    line: /Unexpected rt vDSO/,
    code: "failed_precondition",
    says: "this CRIU is too old for this kernel",
    hint: "run scripts/install-runtime",
  },
  {
    // Nothing said why before: what ends a restored process without a word is the memory limit's killer.
    line: /^(\d+) killed by signal 9/,
    code: "resource_exhausted",
    says: "process $1 was killed while it was being restored, probably by the memory limit",
    hint: memoryHint,
  },
];

export const knownCauses: readonly KnownCause[] = [...dumpCauses, ...restoreCauses, ...anyCauses];
