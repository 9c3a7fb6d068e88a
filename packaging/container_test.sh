#!/bin/sh
# Makes the image without a daemon and runs containers of it: container_test.sh BUILD_DIR.
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# In CI what is missing is a fault, but not what the machine does not allow.
skip_without() {
  [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ] || fail "$1 is not installed"
  echo "SKIPPED: $1 is not installed"
  exit 77
}
skip() {
  echo "SKIPPED: $*"
  exit 77
}

for program in buildah crun setcap python3; do
  command -v $program >/dev/null || skip_without $program
done
[ -s /etc/ssl/certs/ca-certificates.crt ] || skip_without ca-certificates
[ "$(id -u)" = 0 ] || skip "only root can set a file capability and start a container"
touch "$folder/probe"
setcap cap_net_raw=p "$folder/probe" 2>/dev/null ||
  skip "this machine does not let root set a file capability"

archive=$("$here/container/build.sh" "$build" "$folder/image.tar") || fail "no image was built"
mkdir "$folder/layout"
tar -xf "$archive" -C "$folder/layout"

# cgroups are left to whatever manages them here; crun must not judge how they are set up.
start() {  # BUNDLE NAME
  unshare --mount --propagation private sh -c '
    [ -d /sys/fs/cgroup ] && mount -t tmpfs none /sys/fs/cgroup
    exec crun --root "$1" --cgroup-manager=disabled run --bundle "$2" "$3"' \
    sh "$folder/state" "$1" "$2"
}
bundle() {  # NAME [ARGUMENT...]
  name=$1
  shift
  python3 "$here/container/bundle.py" "$archive" "$folder/$name" "$@" || fail "no bundle was made"
}

bundle version --version
root=$folder/version/rootfs
start "$folder/version" version >"$folder/out" 2>"$folder/err" || {
  # A machine that allows no mounts in a namespace allows no container.
  unshare --mount true 2>/dev/null || skip "this machine allows no namespaces"
  fail "the container does not start: $(cat "$folder/err")"
}
grep -q '^tcp-sniffer ' "$folder/out" || fail "--version prints $(cat "$folder/out")"

# The program, what it is linked with or loads, certificates, and nothing else.
(cd "$root" && find . -type f | sort) >"$folder/files"
kafka=$(ldconfig -p | sed -n 's|^[[:space:]]*librdkafka\.so\.1 .*=> /||p' | head -1)
ldd "$build/tcp-sniffer" "/$kafka" |
  sed -n 's|^.*[[:space:]]\(/[^ ]*\) (0x.*|.\1|p' >"$folder/wanted"
for file in "$kafka" etc/ssl/certs/ca-certificates.crt usr/bin/tcp-sniffer etc/passwd etc/group usr/share/doc/tcp-sniffer/copyright; do
  echo "./$file" >>"$folder/wanted"
done
sort -u -o "$folder/wanted" "$folder/wanted"
diff "$folder/wanted" "$folder/files" || fail "the image has other files than it should"
[ "$(wc -c <"$archive")" -lt 20000000 ] || fail "the image has more than it needs: $(wc -c <"$archive")"
getcap "$root/usr/bin/tcp-sniffer" | grep -q ' cap_net_raw=p$' || fail "no file capability"

# A capture file, with the same lines as outside, also where NET_RAW is refused.
"$build/tcp-sniffer" -r "$source/pcaps/posts.pcap" --format ndjson -q >"$folder/expected"
[ -s "$folder/expected" ] || fail "the capture file has no messages"
for right in --mount=/nowhere:/nowhere --no-net-raw; do
  [ $right = --no-net-raw ] || right=
  # shellcheck disable=SC2086
  bundle "file$right" $right "--mount=$source/pcaps:/captures" \
    -r /captures/posts.pcap --format ndjson -q
  start "$folder/file$right" "file$right" >"$folder/out" || fail "the capture file cannot be read"
  cmp -s "$folder/expected" "$folder/out" || fail "other messages than outside of the container"
done

# An output to Kafka, to brokers that its library plays.
bundle kafka "--mount=$source/pcaps:/captures" -r /captures/posts.pcap --log-format json \
  --output kafka://nowhere/http --kafka-properties test.mock.num.brokers=1
start "$folder/kafka" kafka >/dev/null 2>"$folder/err" || fail "no output to Kafka: $(cat "$folder/err")"
grep -q "\"acknowledged\":$(wc -l <"$folder/expected")[,}]" "$folder/err" ||
  fail "not all was acknowledged: $(cat "$folder/err")"
cmp -s /etc/ssl/certs/ca-certificates.crt "$root/$(readlink "$root/usr/lib/ssl/cert.pem")" ||
  fail "OpenSSL finds no certificates"

# Live: not as root, with the one capability; and a word about it where it is refused.
bundle refused --no-net-raw -i lo -p 80
status=0
start "$folder/refused" refused >/dev/null 2>"$folder/err" || status=$?
[ $status = 4 ] || fail "without NET_RAW the exit code is $status: $(cat "$folder/err")"
python3 -u -m http.server --bind 127.0.0.1 0 >"$folder/server" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
wait_for() {  # PATTERN FILE
  for _ in $(seq 600); do
    grep -qE "$1" "$2" 2>/dev/null && return
    sleep 0.05
  done
  fail "no $1 in: $(cat "$2")"
}
wait_for 'port [0-9]+' "$folder/server"
port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$folder/server" | head -1)
bundle live -i lo -p "$port" --format ndjson
start "$folder/live" live >"$folder/out" 2>"$folder/err" &
container=$!
wait_for '"event":"started"' "$folder/err"
python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/').read()"
wait_for '"statusCode":200' "$folder/out"
process=$(python3 -c "
import json, sys
print(json.load(open(sys.argv[1]))['pid'])" "$folder/state/live/status")
grep -q "^Uid:	65532	65532	65532	65532$" "/proc/$process/status" || fail "it runs as another user"
# CAP_NET_RAW is number 13.
grep -q "^CapBnd:	0000000000002000$" "/proc/$process/status" || fail "it may have other rights"
crun --root "$folder/state" --cgroup-manager=disabled kill live TERM 2>/dev/null || kill "$process"
status=0
wait $container || status=$?
[ $status = 0 ] || fail "stopped, the container ends with $status: $(cat "$folder/err")"
grep -q '"event":"stopped"' "$folder/err" || fail "the ledger is not closed"
kill $server
echo "$(wc -c <"$archive") bytes: --version, a capture file and a live capture as uid 65532"
