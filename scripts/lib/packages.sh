# The Debian packages that the project needs.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are for the scripts that source this

# To run: mounting, networking and what patches the runtime prefix. To build: the guest, better-sqlite3 and images.
base_packages=(
  ca-certificates iproute2 iptables patchelf procps util-linux
  g++ gcc libc6-dev make musl-tools python3
  mmdebstrap umoci
)
# Only for the tests: sanitizers and the fuzzer, a loop-mounted file system, an allocator, compilers for other
# runtimes, what crit is written with, the linters of scripts and of units.
test_packages=(
  clang e2fsprogs golang-go libclang-rt-dev libjemalloc2 openjdk-17-jdk-headless python3-protobuf shellcheck systemd
)

# missing_packages PACKAGE...: prints those that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
  done
}

# install_packages PACKAGE...: installs what is missing from the machine's own apt sources.
install_packages() {
  local missing
  [ -n "$(command -v apt-get)" ] || fail 'this machine has no apt-get' "install what these Debian packages hold: $*"
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" -eq 0 ]; then
    printf 'all there\n'
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
  printf 'installed %s\n' "${missing[*]}"
}
