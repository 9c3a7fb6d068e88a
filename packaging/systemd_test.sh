#!/bin/sh
# Runs the packaged unit under a systemd of its own: systemd_test.sh BUILD_DIR.
#
# That systemd is the first process of namespaces that are made for it. It sees this machine's files,
# and what it writes stays in memory; it has its own network, and a cgroup of its own. This file is
# three programs, one after the other: `test` starts the namespaces, `boot` makes the root folder in
# them and becomes systemd, and `steps`, as a service there, tries the unit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
wait_until() {  # WHAT COMMAND...
  what=$1
  shift
  for _ in $(seq 600); do
    "$@" && return
    sleep 0.05
  done
  fail "not in 30 s: $what"
}

# --- test

test_unit() {  # BUILD_DIR
  # In CI what is missing is a fault, but not what the machine does not allow.
  for program in /lib/systemd/systemd systemctl unshare ip python3; do
    command -v $program >/dev/null && continue
    [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ] || fail "$program is not installed"
    skip "$program is not installed"
  done
  [ "$(id -u)" = 0 ] || skip "only root can make such namespaces"
  folder=$(mktemp -d)
  cgroup=$folder/cgroup/tcp-sniffer-test-$$
  mkdir "$folder/root" "$folder/written" "$folder/cgroup" "$folder/shared"
  trap 'clean_up' EXIT
  DESTDIR=$folder/shared/tree cmake --install "$1" --prefix /usr >"$folder/log" 2>&1 ||
    fail "cmake --install: $(cat "$folder/log")"
  cp "$here/systemd_test.sh" "$folder/shared/"
  mount -t cgroup2 none "$folder/cgroup" 2>/dev/null && mkdir "$cgroup" 2>/dev/null ||
    skip "this machine allows no cgroup of version 2"
  status=0
  timeout -s KILL 120 sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" \
    unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --net \
    "$0" boot "$folder" >"$folder/log" 2>&1 || status=$?
  [ -e "$folder/shared/begun" ] || skip "systemd does not start here: $(tail -3 "$folder/log")"
  cat "$folder/shared/said"
  [ -e "$folder/shared/done" ] || fail "the steps did not come to their end (status $status)"
}
skip() {
  echo "SKIPPED: $*"
  exit 77
}
clean_up() {
  find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  umount "$folder/cgroup" 2>/dev/null || true
  rm -rf "$folder"
}

# --- boot

boot() {  # FOLDER
  mount --make-rprivate /
  root=$1/root
  mount -t tmpfs none "$1/written"
  mkdir "$1/written/upper" "$1/written/work"
  mount -t overlay -o "lowerdir=/,upperdir=$1/written/upper,workdir=$1/written/work" overlay "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount -t cgroup2 none "$root/sys/fs/cgroup"
  for name in run tmp dev; do mount -t tmpfs -o mode=755 none "$root/$name"; done
  for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mkdir "$root/dev/pts" "$root/dev/shm" "$root/tmp/shared"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount --bind "$1/shared" "$root/tmp/shared"
  cp -a "$1/shared/tree/." "$root/"
  sed -i 's/{/{ "interface": "lo",/' "$root/etc/tcp-sniffer/config.json"
  # As an administrator would shorten it.
  mkdir "$root/etc/systemd/system/tcp-sniffer.service.d"
  printf '[Service]\nWatchdogSec=2\nRestartSec=0\n' \
    >"$root/etc/systemd/system/tcp-sniffer.service.d/test.conf"
  cat >"$root/etc/systemd/system/steps.service" <<'END'
[Unit]
After=systemd-journald.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/tmp/shared/systemd_test.sh steps >/tmp/shared/said 2>&1'
ExecStopPost=/bin/systemctl --no-block exit
END
  printf '[Unit]\nWants=systemd-journald.service steps.service\n' \
    >"$root/etc/systemd/system/steps.target"
  [ -s "$root/etc/machine-id" ] || echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
  cd "$root"
  mkdir tmp/old
  pivot_root . tmp/old
  umount -l tmp/old
  export container=test
  exec /lib/systemd/systemd --unit=steps.target --show-status=no
}

# --- steps

property() {
  systemctl show tcp-sniffer --value -p "$1"
}
journal_has() {
  journalctl -u tcp-sniffer -o cat --no-pager | grep -q "$1"
}
messages=/var/log/tcp-sniffer/messages.ndjson
ask() {  # PATH
  python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1$1').read()"
}
is_seen() {  # PATH
  ask "$1"
  grep -q "\"path\":\"$1\"" $messages
}
is_seen_again() {  # PATH
  ask "$1"
  [ "$(grep -c "\"path\":\"$1\"" $messages)" -gt "$before" ]
}
# The watchdog has been answered for longer than it waits.
is_well() {
  [ "$(property WatchdogTimestampMonotonic)" -gt $((started + 2 * 2000000)) ]
}
is_another() {
  [ "$(property NRestarts)" = 1 ] && [ "$(property ActiveState)" = active ] &&
    [ "$(property MainPID)" != "$process" ]
}
has_failed() {
  [ "$(property ActiveState)" = failed ]
}

steps() {
  touch /tmp/shared/begun
  ip link set lo up
  (cd /etc && exec python3 -m http.server --bind 127.0.0.1 80 >/dev/null 2>&1) &

  # It is started when the capture is open, as a user of its own with one right.
  systemctl start tcp-sniffer || fail "the unit does not start: $(journalctl --no-pager | tail -20)"
  process=$(property MainPID)
  started=$(property WatchdogTimestampMonotonic)
  grep -qE '^Uid:	[1-9]' "/proc/$process/status" || fail "it runs as root"
  # CAP_NET_RAW is number 13.
  for set in CapEff CapBnd CapAmb; do
    grep -q "^$set:	0000000000002000$" "/proc/$process/status" || fail "$set has other rights"
  done
  grep -q '^NoNewPrivs:	1$' "/proc/$process/status" || fail "it may get new privileges"
  grep -q '^Seccomp:	2$' "/proc/$process/status" || fail "it may use each system call"
  journal_has '"event":"started"' || fail "it is not started"
  wait_until "a message of the capture" is_seen /hostname
  echo "started as uid $(sed -n 's/^Uid:	\([0-9]*\).*/\1/p' "/proc/$process/status"), captures"

  wait_until "the watchdog is answered" is_well
  [ "$(property MainPID)" = "$process" ] || fail "it was started again"
  case $(property StatusText) in
    *messages/s*) ;;
    *) fail "its status is $(property StatusText)" ;;
  esac
  echo "answers the watchdog; $(property StatusText)"

  sed -i 's/{/{ "where": "path = \\"\/hosts\\"",/' /etc/tcp-sniffer/config.json
  systemctl reload tcp-sniffer || fail "it is not reloaded"
  wait_until "the new settings" journal_has '"event":"reloaded".*"changed":\["where"\]'
  wait_until "a message by the new settings" is_seen /hosts
  [ "$(property MainPID)" = "$process" ] || fail "a reload has started it again"
  echo "takes new settings at a reload"

  before=$(grep -c '"path":"/hosts"' $messages)
  kill -STOP "$process"
  wait_until "another process in place of one that stands still" is_another
  wait_until "a message of the new process" is_seen_again /hosts
  echo "is ended by the watchdog when it stands still, and started again"

  # What is refused stays refused: exit code 2 brings no restart.
  cp /etc/tcp-sniffer/config.json /tmp/config.json
  echo '{"ports": 0}' >/etc/tcp-sniffer/config.json
  systemctl restart tcp-sniffer 2>/dev/null && fail "a wrong configuration is accepted"
  wait_until "the failed state" has_failed
  [ "$(property NRestarts)" = 0 ] || fail "a wrong configuration is tried again"
  [ "$(property ExecMainStatus)" = 2 ] || fail "its status is $(property ExecMainStatus)"
  journal_has '"code":"INVALID_CONFIG"' || fail "nothing says that the configuration is wrong"
  echo "stays failed with a wrong configuration"

  cp /tmp/config.json /etc/tcp-sniffer/config.json
  systemctl start tcp-sniffer || fail "it does not start again"
  systemctl stop tcp-sniffer || fail "it does not stop"
  [ "$(property Result) $(property ExecMainStatus)" = "success 0" ] ||
    fail "stopped, its result is $(property Result), $(property ExecMainStatus)"
  journal_has '"event":"stopped"' || fail "the ledger is not closed"
  echo "stops in order"
  touch /tmp/shared/done
}

case $1 in
  boot) boot "$2" ;;
  steps) steps ;;
  *) test_unit "$1" ;;
esac
