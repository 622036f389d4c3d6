# One test per line of output, for scripts that test scripts.
# shellcheck shell=bash
it_passed=0 it_failed=0

# it NAME COMMAND...: passes if the command succeeds; shows what it printed if not.
it() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    it_passed=$((it_passed + 1))
    printf 'ok      %s\n' "$name"
  else
    it_failed=$((it_failed + 1))
    printf 'FAILED  %s\n%s\n' "$name" "$output"
  fi
}

# it_summary: the last line, which the test run adds up.
it_summary() {
  printf '%d passed, %d failed\n' "$it_passed" "$it_failed"
  [ "$it_failed" -eq 0 ]
}
