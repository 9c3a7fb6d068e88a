#!/bin/sh
# Makes the rpm, looks into it, and installs it below a folder: rpm_test.sh BUILD_DIR.
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

for program in rpmbuild rpm; do
  command -v $program >/dev/null && continue
  [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ] || fail "$program is not installed"
  echo "SKIPPED: $program is not installed"
  exit 77
done

make_package() {  # FOLDER [ARGUMENT...]
  to=$1
  shift
  cpack -G RPM --config "$build/CPackConfig.cmake" -B "$to" "$@" >"$folder/log" 2>&1 ||
    fail "cpack: $(cat "$folder/log")"
  ls "$to"/*.rpm
}
# Without the machine's database, which knows none of the packages.
database="--dbpath $folder/database"
ask() {
  # shellcheck disable=SC2086
  rpm $database -qp "$@"
}

package=$(make_package "$folder/package")
case $(basename "$package") in
  tcp-sniffer-*-1.*.rpm) ;;
  *) fail "the package's name is $package" ;;
esac
[ "$(ask --qf '%{LICENSE}' "$package")" = MIT ] || fail "the licence is missing"

ask -l "$package" | sort >"$folder/files"
for file in /usr/bin/tcp-sniffer /usr/share/man/man1/tcp-sniffer.1 \
  /usr/share/bash-completion/completions/tcp-sniffer \
  /usr/share/fish/vendor_completions.d/tcp-sniffer.fish \
  /usr/share/tcp-sniffer/grafana-dashboard.json /usr/lib/systemd/system/tcp-sniffer.service \
  /etc/tcp-sniffer/config.json /etc/logrotate.d/tcp-sniffer; do
  grep -qE "^$file(\.gz)?$" "$folder/files" || fail "$file is not in the package"
done
grep -qE '^/usr/share/zsh/(site-functions|vendor-completions)/_tcp-sniffer$' "$folder/files" ||
  fail "the completion for zsh is not in the package"
# A folder of another package would be in conflict with it.
for foreign in /etc /etc/logrotate.d /usr /usr/bin /usr/lib /usr/lib/systemd \
  /usr/lib/systemd/system /usr/share /usr/share/man /usr/share/man/man1 \
  /usr/share/bash-completion /usr/share/bash-completion/completions /usr/share/fish \
  /usr/share/zsh /usr/share/doc; do
  ! grep -qx "$foreign" "$folder/files" || fail "the package owns $foreign"
done
[ "$(ask -c "$package" | sort | tr '\n' ' ')" = \
  "/etc/logrotate.d/tcp-sniffer /etc/tcp-sniffer/config.json " ] ||
  fail "the settings are not marked as such"

# Every library that the program is linked with is required, whichever those are.
ask --requires "$package" >"$folder/requires"
readelf -d "$build/tcp-sniffer" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$folder/needed"
grep -q '^libpcap' "$folder/needed" || fail "the program is not linked with libpcap?"
while read -r library; do
  case $library in ld-linux*) continue ;; esac
  grep -qF "$library" "$folder/requires" || fail "the package does not require $library"
done <"$folder/needed"

[ "$(ask --recommends "$package")" = "librdkafka.so.1()(64bit)" ] ||
  fail "the package recommends $(ask --recommends "$package")"

# The scripts are those of packaging/rpm, and a shell reads them.
ask --scripts "$package" >"$folder/scripts"
for part in post preun postun; do
  sh -n "$here/rpm/$part" || fail "rpm/$part is no script"
  grep -q "^$part" "$folder/scripts" || fail "the package has no script $part"
done
grep -qF 'disable --now tcp-sniffer.service' "$folder/scripts" || fail "a removal stops no service"

# Who may run the program may not capture by that, unless the administrator decides otherwise.
caps() {
  ask --qf '[%{FILENAMES} %{FILECAPS}\n]' "$1" | sed -n 's|^/usr/bin/tcp-sniffer ||p' |
    sed 's/^(none)$//'
}
[ -z "$(caps "$package" | tr -d ' ')" ] || fail "the program has a capability: $(caps "$package")"
with=$(make_package "$folder/with" \
  -D 'CPACK_RPM_USER_FILELIST=%caps(cap_net_raw=ep) /usr/bin/tcp-sniffer')
caps "$with" | grep -q 'cap_net_raw[=+]ep' || fail "no capability when asked for: $(caps "$with")"

# Below a folder, where the scripts find no systemd; the libraries are the machine's.
root=$folder/root
mkdir -p "$root"
# shellcheck disable=SC2086
rpm --root "$root" --dbpath /var/lib/rpm -i --nodeps --noscripts --noplugins "$package" \
  >"$folder/log" 2>&1 || fail "rpm -i: $(cat "$folder/log")"
"$root/usr/bin/tcp-sniffer" --version | grep -q '^tcp-sniffer ' || fail "the program does not run"
echo '{"ports":[8080]}' >"$root/etc/tcp-sniffer/config.json"
rpm --root "$root" --dbpath /var/lib/rpm -e --noscripts --noplugins tcp-sniffer \
  >"$folder/log" 2>&1 || fail "rpm -e: $(cat "$folder/log")"
[ ! -e "$root/usr/bin/tcp-sniffer" ] || fail "the program is left behind"
[ -s "$root/etc/tcp-sniffer/config.json.rpmsave" ] ||
  fail "a configuration that was changed is not kept"
echo "made, looked into, installed below a folder, and removed: $(basename "$package")"
