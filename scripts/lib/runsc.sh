# gVisor's runsc from a newer Debian suite, for benchmarks alone: one static program, nothing is installed.
# shellcheck shell=bash
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/apt.sh
. "$scripts/lib/apt.sh"

runsc_path() { printf '%s' /var/cache/ramet/bin/runsc; }

# fetch_runsc: downloads it where it is not there yet. What cannot be had is said, and is no failure.
fetch_runsc() {
  local work
  if [ ! -x "$(runsc_path)" ]; then
    work=$(mktemp -d)
    (download_runsc "$work") || printf 'warning: not to be had, so it is left out\n'
    rm -rf "$work"
  fi
  [ ! -x "$(runsc_path)" ] || "$(runsc_path)" --version | sed -n 1p
}

download_runsc() {
  local conf
  conf=$(private_apt "$1/apt" testing) && export APT_CONFIG=$conf &&
    timeout 120 apt-get -q update && cd "$1" &&
    timeout 120 apt-get -q -o APT::Get::Download-Only=false download runsc &&
    dpkg-deb -x runsc_*.deb root && install -D -m 0755 root/usr/bin/runsc "$(runsc_path)"
}
