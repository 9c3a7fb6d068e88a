#!/bin/sh
# Installs into a folder, makes the Debian package and looks into it: packaging_test.sh BUILD_DIR.
# With TCP_SNIFFER_TEST_INSTALL=1 the package is also installed on this machine, and removed.
set -eu
build=$1
here=$(dirname "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

check_tree() {
  root=$1
  for file in bin/tcp-sniffer share/man/man1/tcp-sniffer.1 \
    share/bash-completion/completions/tcp-sniffer share/tcp-sniffer/grafana-dashboard.json \
    share/fish/vendor_completions.d/tcp-sniffer.fish share/zsh/*/_tcp-sniffer \
    share/tcp-sniffer/prometheus-rules.yml share/doc/tcp-sniffer/copyright \
    lib/systemd/system/tcp-sniffer.service; do
    # shellcheck disable=SC2086
    [ -s "$(ls "$root"/usr/$file 2>/dev/null)" ] || fail "usr/$file is missing"
  done
  [ -s "$root/etc/tcp-sniffer/config.json" ] || fail "the configuration is missing"
  [ -s "$root/etc/logrotate.d/tcp-sniffer" ] || fail "the rotation of the messages is missing"
  head -1 "$root/usr/share/man/man1/tcp-sniffer.1" | grep -q 'tcp\\-sniffer [0-9]' ||
    fail "the man page has no version"
  "$root/usr/bin/tcp-sniffer" --version | grep -q '^tcp-sniffer ' || fail "the program does not run"
}

# Every flag of the help has its entry in the man page. What the completions know completion_test
# asks the shells; here, that each of them is the one that the program prints.
check_flags() {
  root=$1
  flags=$("$root/usr/bin/tcp-sniffer" --help | grep -oE '^ +(-[a-zA-Z], )?--[][a-z-]+' |
    grep -oE -- '--[][a-z-]+')
  [ "$(echo "$flags" | wc -l)" -gt 40 ] || fail "the help lists too few flags"
  sed 's/\\-/-/g' "$root/usr/share/man/man1/tcp-sniffer.1" >"$folder/page"
  for flag in $flags; do
    grep -qF -- "$flag" "$folder/page" || fail "$flag is not in the man page"
  done
  for shell in bash zsh fish; do
    "$root/usr/bin/tcp-sniffer" --completion $shell >"$folder/completion"
    case $shell in
      bash) file=$root/usr/share/bash-completion/completions/tcp-sniffer ;;
      zsh) file=$(ls "$root"/usr/share/zsh/*/_tcp-sniffer) ;;
      fish) file=$root/usr/share/fish/vendor_completions.d/tcp-sniffer.fish ;;
    esac
    cmp -s "$folder/completion" "$file" || fail "$file is not what the program prints"
  done
}

# The example must be accepted; only the interface and the rights are this machine's affair.
check_config() {
  sed "s|/var/log/tcp-sniffer|$folder|" "$1/etc/tcp-sniffer/config.json" >"$folder/config.json"
  status=0
  "$1/usr/bin/tcp-sniffer" --config "$folder/config.json" --check >"$folder/check" 2>&1 ||
    status=$?
  [ $status -ne 2 ] || fail "the example configuration is refused: $(cat "$folder/check")"
}

# A check that needs a program which is not there is left out, and fails where no skip is allowed.
has_program() {
  command -v "$1" >/dev/null && return
  [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ] || fail "$1 is not installed"
  return 1
}

echo "cmake --install"
DESTDIR=$folder/tree cmake --install "$build" --prefix /usr >/dev/null
check_tree "$folder/tree"
echo '{"ports":[8080]}' >"$folder/tree/etc/tcp-sniffer/config.json"
DESTDIR=$folder/tree cmake --install "$build" --prefix /usr >/dev/null
grep -q 8080 "$folder/tree/etc/tcp-sniffer/config.json" || fail "the configuration was written over"
rm "$folder/tree/etc/tcp-sniffer/config.json"
DESTDIR=$folder/tree cmake --install "$build" --prefix /usr >/dev/null
cmp -s "$here/tcp-sniffer.service" "$folder/tree/usr/lib/systemd/system/tcp-sniffer.service" ||
  fail "under /usr the unit is another one"

# Under another prefix everything lies there, also what the unit names.
DESTDIR=$folder/other cmake --install "$build" --prefix /opt/sniffer >/dev/null
outside=$(cd "$folder/other" && find . -type f | grep -v '^\./opt/sniffer/' || true)
[ -z "$outside" ] || fail "files outside of the prefix: $outside"
[ -s "$folder/other/opt/sniffer/etc/tcp-sniffer/config.json" ] ||
  fail "the configuration is not under the prefix"
grep -qF 'ExecStart=/opt/sniffer/bin/tcp-sniffer --config /opt/sniffer/etc/tcp-sniffer/config.json' \
  "$folder/other/opt/sniffer/lib/systemd/system/tcp-sniffer.service" ||
  fail "the unit does not name what is under the prefix"
echo '{"ports":[8080]}' >"$folder/other/opt/sniffer/etc/tcp-sniffer/config.json"
DESTDIR=$folder/other cmake --install "$build" --prefix /opt/sniffer >/dev/null
grep -q 8080 "$folder/other/opt/sniffer/etc/tcp-sniffer/config.json" ||
  fail "the configuration under the prefix was written over"
check_flags "$folder/tree"
check_config "$folder/tree"
if has_program man; then
  MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z \
    "$folder/tree/usr/share/man/man1/tcp-sniffer.1" 2>"$folder/warnings" >/dev/null
  [ ! -s "$folder/warnings" ] || fail "man: $(cat "$folder/warnings")"
fi
if has_program systemd-analyze; then
  sed "s|/usr/bin/tcp-sniffer|$folder/tree/usr/bin/tcp-sniffer|" \
    "$here/tcp-sniffer.service" >"$folder/tcp-sniffer.service"
  systemd-analyze verify --man=no "$folder/tcp-sniffer.service" 2>"$folder/verify" ||
    fail "systemd-analyze: $(cat "$folder/verify")"
fi

has_program dpkg-shlibdeps || {
  echo "SKIPPED the package: dpkg-dev is not installed"
  exit 77
}
echo "cpack"
cpack -G DEB --config "$build/CPackConfig.cmake" -B "$folder/package" >"$folder/log" 2>&1 ||
  fail "cpack: $(cat "$folder/log")"
package=$(ls "$folder"/package/*.deb)
dpkg-deb -x "$package" "$folder/unpacked"
check_tree "$folder/unpacked"
# The package of every library that the program is linked with, whichever those are.
dpkg-deb -f "$package" Depends | tr ',|' '\n\n' | sed 's/ *(.*//; s/^ *//' >"$folder/depends"
grep -q libpcap "$folder/depends" || fail "the package does not depend on libpcap"
readelf -d "$build/tcp-sniffer" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$folder/needed"
while read -r library; do
  file=$(ldconfig -p | sed -n "s|^[[:space:]]*$library .*=> ||p" | head -1)
  owner=$(dpkg -S "$file" "$(readlink -f "$file")" 2>/dev/null | sed 's/:.*//' | head -1)
  [ -n "$owner" ] || continue  # it is of no package
  grep -qx "$owner" "$folder/depends" || fail "the package does not depend on $owner ($library)"
done <"$folder/needed"
# Which is loaded for an output to Kafka alone.
! grep -q rdkafka "$folder/needed" || fail "the program is linked with librdkafka"
[ "$(dpkg-deb -f "$package" Recommends)" = librdkafka1 ] ||
  fail "the package does not recommend librdkafka1"
outside=$(dpkg-deb -c "$package" | awk '{ print $6 }' | grep -vE '^\./((usr|etc)/.*)?$' || true)
[ -z "$outside" ] || fail "the package has files outside of /usr and /etc: $outside"

if [ "${TCP_SNIFFER_TEST_INSTALL:-0}" != 1 ]; then
  echo "SKIPPED the installation on this machine: TCP_SNIFFER_TEST_INSTALL=1 asks for it"
  exit 0
fi
if dpkg -s tcp-sniffer >/dev/null 2>&1; then
  echo "SKIPPED the installation on this machine: tcp-sniffer is installed already"
  exit 0
fi
echo "dpkg -i"
dpkg -i "$package" >"$folder/log" 2>&1 || fail "dpkg -i: $(cat "$folder/log")"
/usr/bin/tcp-sniffer --version >/dev/null || fail "the installed program does not run"
dpkg -r tcp-sniffer >"$folder/log" 2>&1 || fail "dpkg -r: $(cat "$folder/log")"
[ -e /etc/tcp-sniffer/config.json ] || fail "a removal must leave the configuration"
dpkg -P tcp-sniffer >"$folder/log" 2>&1 || fail "dpkg -P: $(cat "$folder/log")"
for file in /usr/bin/tcp-sniffer /etc/tcp-sniffer /usr/share/tcp-sniffer \
  /usr/lib/systemd/system/tcp-sniffer.service; do
  [ ! -e "$file" ] || fail "$file is left behind"
done
echo "installed, removed and purged"
