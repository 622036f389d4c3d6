# Messages, steps with elapsed time, and small checks shared by the scripts.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

# fail MESSAGE [HINT]: ends the script with an error and what to do about it.
fail() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  [ -z "${2:-}" ] || printf '  hint: %s\n' "$2" >&2
  exit 1
}

# step NAME COMMAND...: runs the command with its output in a log that is shown only when it fails.
# Not for conditions ("if step", "step ||"): those turn errexit off inside the command as well.
step() {
  # Functions called from here see these locals, so they are named unlike anybody's variables.
  local step_log step_name=$1 step_start=$EPOCHREALTIME step_code step_options=$- step_ticker=''
  step_log=$(mktemp)
  printf '  %-44s' "$step_name" >&2
  shift
  set +e
  if [ -t 2 ]; then
    tick "$step_name" "$step_log" &
    step_ticker=$!
  fi
  (set -e; "$@") >"$step_log" 2>&1
  step_code=$?
  if [ -n "$step_ticker" ]; then
    kill "$step_ticker"
    wait "$step_ticker" 2>/dev/null
    printf '\r\033[K  %-44s' "$step_name" >&2
  fi
  [[ $step_options != *e* ]] || set -e
  if [ "$step_code" -ne 0 ]; then
    printf ' failed after %s s\n' "$(elapsed "$step_start")" >&2
    tail -n 60 "$step_log" >&2
    rm -f "$step_log"
    return "$step_code"
  fi
  printf ' %6s s  %s\n' "$(elapsed "$step_start")" "$(tail -n 1 "$step_log" | cut -c1-70)" >&2
  rm -f "$step_log"
}

# begin DIRECTORY COMMAND...: runs the command beside what follows, its log in an empty directory; `finish_begun` waits for it.
begin() {
  local begin_directory=$1
  shift
  (
    set +e
    (set -e; "$@") >"$begin_directory/log" 2>&1
    printf '%s\n' "$?" >"$begin_directory/code.new"
    mv "$begin_directory/code.new" "$begin_directory/code"
  ) 9>&- &
  printf '%s\n' "$!" >"$begin_directory/pid"
}

# finish_begun DIRECTORY: waits for what was begun, shows its log, and gives its exit code.
finish_begun() {
  local finish_pid
  finish_pid=$(cat "$1/pid")
  while [ ! -e "$1/code" ] && kill -0 "$finish_pid" 2>/dev/null; do pause_briefly; done
  cat "$1/log"
  [ -e "$1/code" ] || return 1
  return "$(cat "$1/code")"
}

# end_begun DIRECTORY...: ends what was begun and still runs, with all that it started, and waits for it: 10 s, then SIGKILL.
end_begun() {
  local end_directory end_pids end_tries
  for end_directory; do
    if [ ! -e "$end_directory/pid" ] || [ -e "$end_directory/code" ]; then continue; fi
    mapfile -t end_pids < <(descendants "$(cat "$end_directory/pid")")
    kill -TERM "${end_pids[@]}" 2>/dev/null || true
    for ((end_tries = 0; end_tries < 500; end_tries++)); do
      any_runs "${end_pids[@]}" || break
      pause_briefly
    done
    kill -KILL "${end_pids[@]}" 2>/dev/null || true
  done
}

# any_runs PID...: whether one of them runs; what has ended and was not waited for yet does not.
any_runs() {
  local any_pid any_state
  for any_pid; do
    any_state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$any_pid/status" 2>/dev/null) || continue
    case $any_state in '' | Z | X) ;; *) return 0 ;; esac
  done
  return 1
}

# descendants PID: the process and all that it started.
descendants() {
  local child children
  printf '%s\n' "$1"
  children=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || return 0
  for child in $children; do descendants "$child"; done
}

pause_briefly() { read -rt 0.02 <> <(:) || true; }

# tick NAME LOG: keeps a terminal's line alive while a step runs: the seconds, and the last line of its log.
tick() {
  local tick_start=$EPOCHREALTIME
  while read -rt 1 <> <(:) || kill -0 $$ 2>/dev/null; do
    printf '\r\033[K  %-44s %6s s  %s' "$1" "$(elapsed "$tick_start")" \
      "$(tail -c 400 "$2" | tr '\r' '\n' | tr -cd '[:print:]\n' | grep . | tail -n 1 | cut -c1-60)" >&2
  done
}

# elapsed START: seconds since an earlier $EPOCHREALTIME, with one decimal.
elapsed() {
  local tenths=$(( (${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000 ))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

require_root() {
  [ "$(id -u)" -eq 0 ] || fail 'this needs root' 'run it with sudo'
}

# usage: prints the comment block under the shebang of the calling script, which is its manual.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }
