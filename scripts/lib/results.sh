# Adds up what the test runners report.
# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller sets here
passed=0 failed=0 skipped=0 remarks=()

# count PASSED FAILED SKIPPED: adds to the totals. In CI nothing may be skipped: a missing capability is a failure.
count() {
  if [ -n "${CI:-}" ] && [ "$3" -gt 0 ]; then
    say "  $3 skipped tests count as failures in CI"
    set -- "$1" $(($2 + $3)) 0
  fi
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# count_command NAME COMMAND...: a command that passes or fails as one test.
count_command() {
  local code
  set +e
  step "$@"
  code=$?
  set -e
  if [ "$code" -eq 0 ]; then count 1 0 0; else count 0 1 0; remarks+=("failed: $1"); fi
}

# count_lines NAME COMMAND...: a command whose output says "N passed, N failed"; one test if it says nothing.
count_lines() {
  local output code=0 sums name=$1
  output=$(mktemp)
  say "== $name"
  shift
  "$@" 2>&1 | tee "$output" >&2 || code=$?
  sums=$(sed -nE 's/^(.*[^0-9])?([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\2 \3 \5/p' "$output" |
    awk '{ p += $1; f += $2; s += $3 } END { if (NR) print p, f + 0, s + 0 }')
  mapfile -t -O ${#remarks[@]} remarks < <(sed -nE 's/^again +/second try: /p; s/^FAIL(ED)? +/failed: /p; /^(second try|failed): /p' "$output")
  rm -f "$output"
  # shellcheck disable=SC2086 # three numbers
  set -- ${sums:-$((code == 0)) 0 0}
  # A runner that dies after its tests have passed has failed too.
  if [ "$code" -ne 0 ] && [ "$2" -eq 0 ]; then set -- "$1" 1 "$3"; fi
  [ "$2" -eq 0 ] || remarks+=("failed: $name")
  count "$@"
}

# count_vitest PROJECT COMMAND...: runs vitest with a JSON report beside its usual output.
count_vitest() {
  local report names name project=$1 code=0 sums
  report=$(mktemp) names=$(mktemp)
  shift
  say "== $project tests"
  "$@" --project "$project" --reporter=default --reporter=json --outputFile.json="$report" >&2 || code=$?
  sums=$(node "$here/lib/vitest-counts.mjs" "$report" "$code" 2>"$names") || sums='0 1 0'
  while read -r name; do remarks+=("$name"); done <"$names"
  rm -f "$report" "$names"
  # shellcheck disable=SC2086 # three numbers
  count $sums
}

# summary: what failed or was tried twice, by name, and the line that the run ends with; its exit code is that of the whole run.
summary() {
  local line="$passed passed, $failed failed"
  [ ${#remarks[@]} -eq 0 ] || printf '%s\n' "${remarks[@]}"
  [ "$skipped" -eq 0 ] || line+=", $skipped skipped"
  printf '%s\n' "$line"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
