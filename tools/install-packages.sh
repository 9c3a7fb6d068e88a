#!/usr/bin/env bash
# Installs what is missing of the packages in tools/packages.txt: tools/install-packages.sh SECTION...
#
# Does nothing, and needs no rights, when everything is there. All talk goes to standard error.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

wanted_packages() {  # of the sections given
  local section=none package command
  while read -r package command; do
    case $package in
      "" | \#*) continue ;;
      \[*\]) section=${package//[\[\]]/} && continue ;;
    esac
    [[ " $* " == *" $section "* ]] || continue
    [[ -n $command ]] && command -v "$command" >/dev/null && continue
    echo "$package"
  done <"$root/tools/packages.txt"
}

is_installed() {
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

fail() {
  printf 'tcp-sniffer: %s\n' "$@" >&2
  exit 1
}

mapfile -t wanted < <(wanted_packages "$@")
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "this is not Debian or Ubuntu: packages cannot be installed from here." \
    "What is needed, by its Debian names: ${wanted[*]}" \
    "With all that in place: cmake --preset release && cmake --build --preset release"
fi

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  command -v sudo >/dev/null ||
    fail "packages are missing, and there is no sudo. As root: $by_hand"
  # Without a terminal sudo could only wait for a password that nobody types.
  if [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
    fail "packages are missing, and sudo wants a password. As root: $by_hand"
  fi
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1 </dev/null ||
    { cat "$log" >&2 && fail "apt-get $1 failed"; }
}
echo "tcp-sniffer: installing ${missing[*]}" >&2
((${#as_root[@]} == 0)) || sudo -v
apt_get update
apt_get install -y --no-install-recommends "${missing[@]}"
