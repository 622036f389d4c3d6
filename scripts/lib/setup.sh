# From a checkout to something that runs: packages, dependencies, the runtime prefix, the build.
# shellcheck shell=bash
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
checkout=$(dirname "$scripts")
# shellcheck source=scripts/lib/packages.sh
. "$scripts/lib/packages.sh"

# setup PREFIX PACKAGE...: brings everything up to date; a second call finds nothing to do.
setup() {
  local runtime_prefix=$1 npm
  shift
  step 'Debian packages' install_packages "$@"
  check_node
  # It takes longest, and waits for the registry most of the time.
  npm=$(mktemp -d)
  begin "$npm" install_npm_packages
  "$scripts/install-runtime" --prefix "$runtime_prefix"
  step 'guest' build_guest
  step 'memoryd' build_memoryd
  step 'npm packages' finish_begun "$npm"
  rm -r "$npm"
  step 'agent and command line' build_typescript
}

# setup_crit PREFIX: CRIU's own decoder, which tests compare ours with. Where it cannot be had, they are skipped.
setup_crit() {
  # A program of its own, whose errexit a condition does not turn off.
  step 'crit' "$scripts/install-crit" --prefix "$1" || say 'warning: without crit, the tests that need it are skipped'
}

check_node() {
  local major
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || major=0
  if [ "$major" -lt 20 ] || [ -z "$(command -v npm)" ]; then
    fail "Node.js 20 or newer with npm is needed, found ${major/#0/none}" 'install it from your distribution or from the Node.js project'
  fi
}

# npm-is-current compares every package on disk with the lock file, before and after.
install_npm_packages() {
  cd "$checkout" || return
  if node "$scripts/lib/npm-is-current.mjs"; then
    printf 'all there\n'
    return
  fi
  # npm ci would refuse a lock file without the optional packages of other platforms, which not every
  # registry carries. This installs the locked versions, checks their digests, and changes no file.
  # Most of the time is gcc's with SQLite. -O1, last on its command line, takes half of what -O3 does, and what the
  # database does here is to wait for the disk.
  CFLAGS=-O1 CXXFLAGS=-O1 npm install --no-save --no-audit --no-fund
  node "$scripts/lib/npm-is-current.mjs" || fail 'npm has not installed what package-lock.json names'
}

build_guest() {
  make -C "$checkout/src/guest" all
  printf '%s bytes\n' "$(stat -c %s "$checkout/src/guest/build/guest")"
}

memoryd_is_possible() { [ "$(uname -m)" = x86_64 ]; }

build_memoryd() {
  if ! memoryd_is_possible; then
    printf 'skipped: it is for x86_64, and this is %s\n' "$(uname -m)"
    return
  fi
  make -C "$checkout/src/memoryd" all
  printf '%s bytes\n' "$(stat -c %s "$checkout/src/memoryd/build/memoryd")"
}

build_typescript() {
  local key stamp=$checkout/dist/.build-key programs=(src/guest/build/guest)
  cd "$checkout" || return
  if memoryd_is_possible; then programs+=(src/memoryd/build/memoryd); fi
  key=$(find src proto scripts/bundle.mjs scripts/copy-assets.mjs package.json package-lock.json tsconfig*.json buf*.yaml -type f \
    -not -path 'src/gen/*' -not -path 'src/guest/*' -not -path 'src/memoryd/*' \
    -not -name '*.test.ts' -print0 |
    sort -z | xargs -0 sha256sum "${programs[@]}" | sha256sum)
  if [ -x dist/bin/rametd.js ] && [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
    printf 'up to date\n'
    return
  fi
  npm run --silent build
  printf '%s\n' "$key" >"$stamp"
  printf 'built\n'
}
