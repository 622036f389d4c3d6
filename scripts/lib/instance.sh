# One private containerd: its directories, its process and its mount namespace.
# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller sets run, root and prefix, as absolute paths
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# instance_option OPTION VALUE: takes --run, --root or --prefix; fails on any other option.
instance_option() {
  case $1 in
    --run) run=$(realpath -m "${2:?--run needs a directory}") ;;
    --root) root=$(realpath -m "${2:?--root needs a directory}") ;;
    --prefix) prefix=$(realpath -m "${2:?--prefix needs a directory}") ;;
    *) fail "unknown option $1" "see $0 --help" ;;
  esac
}

socket() { printf '%s' "$run/containerd/containerd.sock"; }
pid_file() { printf '%s' "$run/containerd.pid"; }
pinned() { printf '%s' "$run/ns/mnt"; }

# CRIU keeps its feature cache in /run only if that is a tmpfs; each dump and restore is 40 ms slower without.
run_is_tmpfs() { [ "$(stat -f -c %T /run)" = tmpfs ]; }
is_pinned() { [ "$(stat -f -c %T "$(pinned)" 2>/dev/null)" = nsfs ]; }

# process_identity PID: boot id and start time, which together tell a process from a later one of the same pid. Fails for one that is
# dead, and for one that only waits for its parent to collect it.
process_identity() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name in parentheses may hold spaces; the start time is the 20th field after it.
  # shellcheck disable=SC2086 # split into fields
  set -- ${stat##*) }
  case $1 in Z | X) return 1 ;; esac
  printf '%s:%s' "$(cat /proc/sys/kernel/random/boot_id)" "${20}"
}

# containerd_pid: prints the pid of this instance's containerd; fails when it does not run.
containerd_pid() {
  local pid identity
  read -r pid identity 2>/dev/null <"$(pid_file)" || return 1
  [ -n "$identity" ] && [ "$(process_identity "$pid")" = "$identity" ] && printf '%s' "$pid"
}

# shim_pids: the shims that were started for this instance's socket.
shim_pids() {
  local entry arguments
  for entry in /proc/[0-9]*; do
    mapfile -d '' -t arguments 2>/dev/null <"$entry/cmdline" || continue
    case "${arguments[0]:-} ${arguments[*]:1} " in
      *containerd-shim-runc-v2\ *"-address $(socket) "*) printf '%s\n' "${entry#/proc/}" ;;
    esac
  done
}

# namespace_pids: the processes that live in the pinned mount namespace itself.
namespace_pids() {
  is_pinned || return 0
  { find -L /proc/[0-9]*/ns/mnt -maxdepth 0 -samefile "$(pinned)" 2>/dev/null || true; } | cut -d/ -f3
}

# end_processes SECONDS PID...: SIGTERM, then SIGKILL to what is left after the time.
end_processes() {
  local deadline=$((SECONDS + $1)) pid
  shift
  [ $# -gt 0 ] || return 0
  kill -TERM "$@" 2>/dev/null || true
  for pid in "$@"; do
    while kill -0 "$pid" 2>/dev/null && [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)" != Z ]; do
      [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
      [ "$SECONDS" -lt $((deadline + 5)) ] || fail "process $pid does not end" "see /proc/$pid/stack"
      pause_briefly
    done
  done
}

# enter COMMAND...: replaces the shell by a command inside the instance's mount namespace, with its PATH.
enter() {
  export PATH="$prefix/front:$prefix/bin:$PATH" RAMET_RUN=$run RAMET_ROOT=$root RAMET_PREFIX=$prefix
  is_pinned || exec "$@"
  # shellcheck disable=SC2016 # expanded by the inner shell
  exec nsenter --mount="$(pinned)" sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@"
}

# pin_namespace: makes the private mount namespace, with a tmpfs on /run and the real run directory in its place.
pin_namespace() {
  mkdir -p "$run/ns"
  # A namespace can only be pinned on a mount that propagates nowhere.
  mount -n --bind "$run/ns" "$run/ns"
  mount -n --make-private "$run/ns"
  : >"$(pinned)"
  # Slave: what the host unmounts goes here too, and nothing that is mounted here reaches the host.
  unshare --mount="$(pinned)" --propagation slave "$lib/private-run" "$run" || {
    unpin_namespace
    fail 'no private mount namespace' 'it needs CAP_SYS_ADMIN in the initial user namespace'
  }
}

unpin_namespace() {
  while is_pinned; do umount -n "$(pinned)"; done
  while mountpoint -q "$run/ns"; do umount -n "$run/ns"; done
}

# mounts_below DIR: mount points below a directory in this namespace, deepest first.
mounts_below() {
  awk -v dir="$1/" 'index($5, dir) == 1 { print length($5), $5 }' /proc/self/mountinfo | sort -rn | cut -d' ' -f2-
}
