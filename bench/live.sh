#!/bin/bash
# Replays a capture of 600 MB at top speed over a cable between two network namespaces, and counts
# what tcpdump and tcp-sniffer took of it, with the same buffer; then the same traffic with VLAN tags:
# bench/live.sh BUILD_DIR [RUNS]
# Writes bench/results/live.md. Needs root, tcpreplay, tcpdump, iproute2.
set -eu
build=$(realpath "$1")
runs=${2:-5}
here=$(dirname "$(realpath "$0")")
sniffer=$build/tcp-sniffer
folder=$(mktemp -d)
client=tcpsniff-live-$$-client
server=tcpsniff-live-$$-server
cleanup() {
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

ip netns add "$client"
ip netns add "$server"
ip link add left netns "$client" type veth peer name right netns "$server"
for host in "$client" "$server"; do
  ip netns exec "$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
done
ip -n "$client" link set left up
ip -n "$server" link set right up
capture=$folder/capture.pcap
expected() { grep -oE "\"$1\": [0-9]+" "$capture.expected.json" | grep -oE '[0-9]+$'; }
make_capture() { # options of the generator
  "$build/tools/pcapgen/pcapgen" -o "$capture" -s 520M "$@"
  packets=$(expected packets)
  messages=$(expected messages)
}
make_capture

replay() {
  ip netns exec "$client" tcpreplay -q -i left -t -K "$capture" 2>/dev/null |
    sed -n 's/^Rated: \([0-9.]*\) Bps, \([0-9.]*\) Mbps, \([0-9.]*\) pps/\2 \3/p'
}
counter() { # GROUP NAME of the `stopped` event
  grep '"event":"stopped"' "$folder/events" | grep -oE "\"$1\":\{[^}]*\}" |
    grep -oE "\"$2\":[0-9]+" | head -1 | grep -oE '[0-9]+$'
}
row() {
  printf '| %s | %.0f | %.0f | %s | %s | %s |\n' "$@"
}

run_tcpdump() { # the tags of the filter
  ip netns exec "$server" tcpdump -q -i right -B 65536 -s 262144 -w /dev/null "$@" tcp port 80 \
    2>"$folder/tcpdump" &
  local pid=$!
  until grep -q listening "$folder/tcpdump"; do sleep 0.05; done
  sleep 0.2
  local rate
  rate=$(replay)
  sleep 0.5
  kill -INT $pid
  wait $pid || true
  local taken dropped
  taken=$(sed -n 's/ packets captured//p' "$folder/tcpdump")
  dropped=$(sed -n 's/ packets dropped by kernel//p' "$folder/tcpdump")
  # shellcheck disable=SC2086
  row "tcpdump -w /dev/null" $rate "$taken of $packets" "$dropped" "–"
}

run_sniffer() { # NAME, then options
  local name=$1
  shift
  ip netns exec "$server" "$sniffer" -i right -p 80 "$@" >/dev/null 2>"$folder/events" &
  local pid=$!
  until grep -q '"started"' "$folder/events"; do sleep 0.05; done
  sleep 0.2
  local rate
  rate=$(replay)
  sleep 0.5
  kill -TERM $pid
  wait $pid
  local dropped
  dropped=$(($(counter kernel dropped) + $(counter frames dropped_overload) + \
    $(counter messages dropped_overload)))
  # shellcheck disable=SC2086
  row "$name" $rate "$(counter frames dispatched) of $packets" "$dropped" \
    "$(counter messages written) of $messages"
}
run_tagged() { # NAME, number of tags, then options
  local name=$1 tags=$2
  shift 2
  local result
  result=$(run_sniffer "$name" "$@")
  echo "$result $(($(counter encapsulation vlan) / tags)) of $packets |"
}

{
  echo "# Live capture at top speed"
  echo
  echo "Made by \`bench/live.sh\`: tcpreplay sends a generated capture ($packets packets,"
  echo "$(($(stat -c %s "$capture") / 1000000)) MB, 1,500-byte frames) as fast as it can over a veth pair. tcpdump only takes the"
  echo "frames; tcp-sniffer also puts the streams together and writes every message as JSON to"
  echo "/dev/null. Both have a capture buffer of 64 MiB. \"Lost\" adds up kernel, engine and output."
  echo "The sender is not the same speed in every run: it shares the processors with the reader."
  echo
  echo "$(nproc) processors ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), kernel $(uname -r),"
  echo "$("$sniffer" --version | sed -n 2p), $(date -u +%Y-%m-%d)."
  echo
  echo "| reader | Mbit/s sent | packets/s sent | packets taken | lost | messages |"
  echo "|---|---:|---:|---:|---:|---:|"
  for _ in $(seq "$runs"); do
    run_tcpdump
    run_sniffer "tcp-sniffer"
    run_sniffer "tcp-sniffer --shards 0" --shards 0
    run_sniffer "tcp-sniffer --capture-threads 2" --capture-threads 2
  done | sort -t'|' -k2,2 -s
  echo
  echo "## Tagged frames"
  echo
  echo "The same traffic, its frames tagged by the generator (\`pcapgen --vlan 7\`: 802.1Q,"
  echo "\`pcapgen --vlan 7,9\`: 802.1ad and 802.1Q). The kernel takes the outer tag out of a frame, libpcap"
  echo "puts it back. \"Tagged\": frames with that many tags by the counter \`encapsulation.vlan\`."
  echo
  echo "| reader | Mbit/s sent | packets/s sent | packets taken | lost | messages | tagged |"
  echo "|---|---:|---:|---:|---:|---:|---:|"
  # Room for two tags around 1,500 bytes.
  ip -n "$client" link set left mtu 1600
  ip -n "$server" link set right mtu 1600
  make_capture --vlan 7
  for _ in $(seq "$runs"); do
    run_tcpdump vlan and | sed 's/$/ – |/; s/tcpdump/one tag: &/'
    run_tagged "one tag: tcp-sniffer" 1
    run_tagged "one tag: tcp-sniffer --key-vlan" 1 --key-vlan
  done | sort -t'|' -k2,2 -s
  make_capture --vlan 7,9
  for _ in $(seq "$runs"); do
    run_tcpdump vlan and vlan and | sed 's/$/ – |/; s/tcpdump/two tags: &/'
    run_tagged "two tags: tcp-sniffer" 2
    run_tagged "two tags: tcp-sniffer --key-vlan" 2 --key-vlan
  done | sort -t'|' -k2,2 -s
} >"$folder/live.md"
mkdir -p "$here/results"
mv "$folder/live.md" "$here/results/live.md"
cat "$here/results/live.md"
