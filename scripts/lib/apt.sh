# Private apt directories, so that packages can be fetched without changing the system.
# shellcheck shell=bash

# machine_source: prints "URI KEYRING" of the Debian archive that this machine itself uses.
# RAMET_MIRROR replaces the URI, for machines whose own sources are not Debian's.
machine_source() {
  local codename uri='' entry='' keyring=''
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  uri=${RAMET_MIRROR:-}
  if [ -z "$uri" ]; then
    # apt knows a source's release only once its index has been fetched.
    [ -n "$(release_sources "$codename")" ] || apt-get -q update >&2
    IFS='|' read -r uri entry < <(release_sources "$codename") || true
  fi
  [ -n "$uri" ] || fail "no source of Debian $codename/main among this machine's apt sources" \
    'add one to /etc/apt/sources.list.d, or set RAMET_MIRROR to the URI of a Debian mirror'
  [ -z "$entry" ] || keyring=$(source_keyring "${entry%:*}" "${uri%/}")
  printf '%s %s\n' "$uri" "${keyring:-/usr/share/keyrings/debian-archive-keyring.gpg}"
}

# release_sources CODENAME: prints "URI|SOURCE_FILE:N" for each of the machine's sources of a release's main part.
release_sources() {
  # shellcheck disable=SC2016 # $(…) are apt's own placeholders
  apt-get indextargets --format '$(RELEASE)/$(COMPONENT)|$(REPO_URI)|$(SOURCESENTRY)' 'Created-By: Packages' |
    sed -n "s/^$1\/main|//p"
}

# source_keyring FILE URI: the Signed-By path that an apt source file gives for a URI; may be empty.
source_keyring() {
  if [[ $1 == *.sources ]]; then
    awk -v uri="$2" 'BEGIN { RS = ""; FS = "\n" }
      index($0, uri) { for (i = 1; i <= NF; i++) if ($i ~ /^Signed-By: *\//) { sub(/^Signed-By: */, "", $i); print $i; exit } }' "$1"
  else
    sed -n "\\|$2|s|.*signed-by=\\(/[^] ]*\\).*|\\1|p" "$1" | head -n 1
  fi
}

# private_apt DIR SUITE: makes DIR a private apt root for one suite and prints the config file to use as APT_CONFIG.
# The suite's Release file may be past its Valid-Until on a mirror; its signature is still checked.
# It can only download: with the machine's dpkg, an install from a newer suite would replace its libc.
private_apt() {
  local dir=$1 suite=$2 uri keyring
  read -r uri keyring < <(machine_source)
  [ -n "$uri" ] || exit 1
  [ -r "$keyring" ] || fail "keyring $keyring is missing" 'apt-get install debian-archive-keyring'
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  : >"$dir/status"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
    "$uri" "$suite" "$keyring" >"$dir/debian.sources"
  cat >"$dir/apt.conf" <<CONF
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Etc::SourceList "$dir/debian.sources";
Dir::Etc::SourceParts "/dev/null";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
APT::Get::Download-Only "true";
Dir::Bin::dpkg "/bin/false";
CONF
  printf '%s\n' "$dir/apt.conf"
}
