# Which versions of containerd, runc and CRIU serve.
# shellcheck shell=bash

# version_of PROGRAM: its version number alone, such as 2.1.9; empty when it does not run.
version_of() {
  "$1" --version 2>/dev/null | sed -nE '1,2s/.*[^0-9.]v?([0-9]+\.[0-9]+(\.[0-9]+)?).*/\1/p' | head -n 1
}

at_least() { printf '%s\n%s\n' "$2" "$1" | sort -V -C; }

# containerd 2.1.9, 2.2.5 and 2.3.2 close two holes in restoring checkpoints (CVE-2026-50195, CVE-2026-53492).
serves_containerd() {
  local version
  version=$(version_of "$1")
  case $version in
    '') return 1 ;;
    2.2.*) at_least "$version" 2.2.5 ;;
    2.3.*) at_least "$version" 2.3.2 ;;
    *) at_least "$version" 2.1.9 ;;
  esac
}

serves_runc() { local v; v=$(version_of "$1"); [ -n "$v" ] && at_least "$v" 1.3; }

# CRIU before 4.2 restores the vDSO's random state as it was, the same in every clone.
serves_criu() { local v; v=$(version_of "$1"); [ -n "$v" ] && at_least "$v" 4.2; }
