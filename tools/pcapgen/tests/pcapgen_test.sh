#!/bin/sh
# pcapgen_test.sh PCAPGEN: captures are decided by their options, are what they claim to be, and
# hold as many messages as the file beside them says. Where capinfos and tshark are installed,
# they count and check the checksums; without them those checks are left out, and said so.
set -u

pcapgen=$1
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
failures=0

fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}

# figure FILE NAME: a number of FILE.expected.json
figure() {
  sed -n "s/^  \"$2\": \([0-9]*\),*\$/\1/p" "$1.expected.json"
}

equal() {
  [ "$2" = "$3" ] || fail "$1: $2, expected $3"
}

make() {
  capture=$directory/$1.pcap
  shift
  "$pcapgen" --lines --output="$capture" "$@" || fail "pcapgen $* ended with $?"
}

refuses() {
  wanted=$1
  shift
  message=$("$pcapgen" "$@" 2>&1 >/dev/null)
  status=$?
  equal "exit status of pcapgen $*" $status 2
  case $message in
    *"$wanted"*) ;;
    *) fail "pcapgen $*: the message '$message' does not name $wanted" ;;
  esac
}

same_seed_gives_the_same_file() {
  make first --workload=mixed --size=2M --seed=7 --loss=0.01 --fragments=0.05
  make second --workload=mixed --size=2M --seed=7 --loss=0.01 --fragments=0.05
  make other --workload=mixed --size=2M --seed=8 --loss=0.01 --fragments=0.05
  for suffix in '' .expected.json .expected.ndjson; do
    cmp "$directory/first.pcap$suffix" "$directory/second.pcap$suffix" || fail "seed 7: $suffix"
  done
  cmp -s "$directory/first.pcap" "$directory/other.pcap" && fail "seeds 7 and 8 agree"
  "$pcapgen" --workload=mixed --size=2M --seed=7 --loss=0.01 --fragments=0.05 --output=- |
    cmp - "$directory/first.pcap" || fail "standard output differs from the file"
}

every_message_has_its_line() {
  for workload in bulk api tiny short mixed; do
    make lines --workload=$workload --size=3M --concurrency=20 --pipeline=3 --chunked=0.5 --gzip=0.5
    equal "$workload: lines" "$(wc -l <"$capture.expected.ndjson")" "$(figure "$capture" messages)"
    equal "$workload: requests" "$(grep -c '"direction":"request"' "$capture.expected.ndjson")" \
      "$(figure "$capture" requests)"
    sizes=$(sed 's/.*"bodySize":\([0-9]*\).*/\1/' "$capture.expected.ndjson" |
      awk '{ sum += $1 } END { printf "%d", sum }')
    equal "$workload: body bytes" "$sizes" "$(figure "$capture" bodyBytes)"
    equal "$workload: file size" "$(wc -c <"$capture")" "$(figure "$capture" captureBytes)"
  done
}

loss_is_told() {
  make whole --workload=bulk --size=2M --seed=3 --concurrency=20
  make lossy --workload=bulk --size=2M --seed=3 --concurrency=20 --loss=0.02
  equal "bytes lost without loss" "$(figure "$directory/whole.pcap" bytesLost)" 0
  lost=$(figure "$capture" bytesLost)
  [ "$lost" -gt 0 ] || fail "a loss of 2 % lost nothing"
  equal "captured and lost" "$(($(figure "$capture" payloadBytes) + lost))" \
    "$(figure "$capture" streamBytes)"
  equal "damaged lines" "$(grep -c lostBytes "$capture.expected.ndjson")" \
    "$(figure "$capture" messagesDamaged)"
  sum=$(sed -n 's/.*"lostBytes":\([0-9]*\).*/\1/p' "$capture.expected.ndjson" |
    awk '{ sum += $1 } END { printf "%d", sum }')
  equal "lost bytes in the lines" "$sum" "$lost"
}

idle_connections_stay_open() {
  make idle --workload=idle --connections=500 --exchanges=3
  equal "idle connections" "$(figure "$capture" connections)" 500
  equal "idle messages" "$(figure "$capture" messages)" 3000
}

other_programs_agree() {
  if ! command -v tshark >/dev/null || ! command -v capinfos >/dev/null; then
    echo "tshark and capinfos are not installed: not compared with them"
    [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ] || failures=$((failures + 1))
    return
  fi
  while read -r name arguments; do
    # The arguments are words on purpose.
    # shellcheck disable=SC2086
    make "$name" --size=2M --concurrency=20 $arguments
    equal "$name: packets" "$(capinfos -McTr "$capture" | awk '{ print $2 }' | tail -n 1)" \
      "$(figure "$capture" packets)"
    counted=$(tshark -r "$capture" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
      -o tcp.reassemble_out_of_order:TRUE -d tcp.port==80,http -T fields \
      -e http.request.method -e http.response.code -e tcp.checksum.status -e ip.checksum.status \
      2>/dev/null | awk -F'\t' '
        { requests += $1 == "" ? 0 : split($1, parts, ",")
          responses += $2 == "" ? 0 : split($2, parts, ",")
          bad += $3 ~ /0/ || $4 ~ /0/ }
        END { printf "%d requests, %d responses, %d bad checksums", requests, responses, bad }')
    equal "$name: tshark" "$counted" "$(figure "$capture" requests) requests, $(
      figure "$capture" responses) responses, 0 bad checksums"
  done <<'END'
bulk --workload=bulk
api --workload=api --pipeline=4
tiny --workload=tiny
short --workload=short --nanosecond --resets=0.2
ipv6 --workload=api --ipv6=0.5 --no-tcp-timestamps
vlan --workload=api --vlan=10,20 --mtu=600
fragments --workload=bulk --fragments=0.2 --ipv6=0.5
chunked --workload=bulk --chunked=0.5 --gzip=0.5 --bodyless=0.2
reordered --workload=bulk --reorder=0.05 --duplicate=0.05 --retransmit=0.02
holes --workload=bulk --holes=64
beside --workload=short --syn-flood=0.1 --port-scan=0.1 --garbage=0.1
idle --workload=idle --connections=300
END
}

errors_are_clear() {
  refuses --output --size=1M
  refuses --size --size=big --output=/dev/null
  refuses --loss --loss=1.5 --output=/dev/null
  refuses --mtu --mtu=20 --output=/dev/null
  refuses --workload --workload=slow --output=/dev/null
  refuses --vlan --vlan=1,2,3 --output=/dev/null
  refuses surprise --surprise
  "$pcapgen" --size=1M --output="$directory/missing/x.pcap" 2>"$directory/message"
  equal "exit status for a folder that is not there" $? 1
  grep -q missing/x.pcap "$directory/message" || fail "the message does not name the file"
  "$pcapgen" --help | grep -q -- --concurrency || fail "--help does not name --concurrency"
}

same_seed_gives_the_same_file
every_message_has_its_line
loss_is_told
idle_connections_stay_open
other_programs_agree
errors_are_clear
[ "$failures" -eq 0 ] && echo "all passed"
exit "$failures"
