# The bash kernel: runs what comes on descriptor 198, each piece ended by NUL, in this one shell, and reports on 199.
# Its arguments are the two descriptors that it was started with.
# shellcheck shell=bash
# Those may be 198 or 199 themselves, so they are moved out of the way first.
eval "exec {__ramet_code}<&$1 {__ramet_names}>&$2 $1<&- $2>&-"
eval "exec 198<&$__ramet_code 199>&$__ramet_names $__ramet_code<&- $__ramet_names>&-"
unset __ramet_names
set --

# __ramet_set NAME VALUE: until the run is over.
declare -A __ramet_before=()
__ramet_names=()
__ramet_set() {
  __ramet_names+=("$1")
  [ -z "${!1+set}" ] || __ramet_before[$1]=${!1}
  export "$1=$2"
}

# With the status of the last run.
__ramet_report() {
  local __ramet_status=$? __ramet_name
  for __ramet_name in "${__ramet_names[@]}"; do
    if [ -n "${__ramet_before[$__ramet_name]+set}" ]; then
      export "$__ramet_name=${__ramet_before[$__ramet_name]}"
    else
      unset -v "$__ramet_name"
    fi
  done
  __ramet_names=() __ramet_before=()
  printf '{"done":%d}\n' "$__ramet_status" >&199
}

# Leaves the code that runs, and so gets back to the loop. In a function there is no loop to continue: only the command
# that runs ends, which is why the server asks again until the run is over.
trap 'continue 1000 2>/dev/null' INT

# What a run ends with is reported when the next one is waited for, which an interrupt leads to as well.
while __ramet_report && IFS= read -r -d '' -u 198 __ramet_code; do
  eval "$__ramet_code" 198<&- 199>&- </dev/null
done
