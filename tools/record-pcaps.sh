#!/usr/bin/env bash
# Records the captures of pcaps/: real servers (nginx, HAProxy, Node, Python, Dovecot) and clients (curl, Node,
# Python) in network namespaces of their own, tcpdump beside them; then makes the damaged ones with
# pcapdamage.
#
#   tools/record-pcaps.sh [FOLDER]      writes into FOLDER (default: pcaps/ of this repository)
#
# Needs root and the packages nginx-light haproxy openssl nodejs dovecot-pop3d curl tcpdump tshark tcpreplay ethtool
# iproute2 python3 cmake g++. Nothing leaves the namespaces:
#
#   client eth0 10.77.0.1 fd77::1  ----------------------------  10.77.0.2 fd77::2 eth0 server
#   client eth1 10.77.1.1  ----  router, path MTU 900  ----  10.77.2.2 eth1 server
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OUT=$(realpath "${1:-$HERE/../pcaps}")
readonly HERE OUT
readonly CLIENT=tcp-sniffer-client ROUTER=tcp-sniffer-router SERVER=tcp-sniffer-server
readonly HOST=10.77.0.2 HOST6=fd77::2 ROUTED_HOST=10.77.2.2
readonly FILE_DATE='2025-01-01 00:00:00 UTC'  # client.mjs asks with this date
readonly STEP_SECONDS=30                      # no client or recorder runs longer

work=$(mktemp -d)
chmod 755 "$work"
server_pids=()

in_client() { ip netns exec $CLIENT timeout $STEP_SECONDS "$@"; }
in_server() { ip netns exec $SERVER "$@"; }

clean_up() {
  for pid in "${server_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  for namespace in $CLIENT $ROUTER $SERVER; do ip netns del "$namespace" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean_up EXIT

check_tools() {
  local missing=()
  for tool in nginx haproxy openssl node dovecot curl tcpdump tshark dumpcap mergecap tcprewrite ethtool ip python3 \
    cmake; do
    command -v $tool >/dev/null || missing+=("$tool")
  done
  if ((${#missing[@]})); then
    echo "record-pcaps.sh: missing: ${missing[*]}; the packages are named at its top" >&2
    exit 1
  fi
  if ((EUID != 0)); then
    echo "record-pcaps.sh: needs root for network namespaces" >&2
    exit 1
  fi
}

link() {  # namespace device address namespace device address
  ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
  ip -n "$1" address add "$3" dev "$2"
  ip -n "$4" address add "$6" dev "$5"
  ip -n "$1" link set "$2" up
  ip -n "$4" link set "$5" up
  offloads "$1" "$2" off
  offloads "$4" "$5" off
}

offloads() {  # namespace device on|off
  ip netns exec "$1" ethtool -K "$2" tso "$3" gso "$3" gro "$3" tx "$3" rx "$3" sg "$3" >/dev/null
}

build_network() {
  for namespace in $CLIENT $ROUTER $SERVER; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
    ip netns exec "$namespace" sysctl -q -w net.ipv6.conf.all.accept_dad=0 \
      net.ipv6.conf.default.accept_dad=0
  done
  link $CLIENT eth0 10.77.0.1/24 $SERVER eth0 10.77.0.2/24
  ip -n $CLIENT address add fd77::1/64 dev eth0 nodad
  ip -n $SERVER address add fd77::2/64 dev eth0 nodad

  link $CLIENT eth1 10.77.1.1/24 $ROUTER client 10.77.1.254/24
  link $SERVER eth1 10.77.2.2/24 $ROUTER server 10.77.2.254/24
  ip netns exec $ROUTER sysctl -q -w net.ipv4.ip_forward=1
  # A locked MTU takes "don't fragment" off at the ends; the router then cuts what is too long.
  ip -n $CLIENT route add 10.77.2.0/24 via 10.77.1.254 mtu lock 1500
  ip -n $SERVER route add 10.77.1.0/24 via 10.77.2.254 mtu lock 1500
  ip -n $ROUTER route add 10.77.1.1/32 dev client mtu lock 900
  ip -n $ROUTER route add 10.77.2.2/32 dev server mtu lock 900
}

start_servers() {
  cp -r "$HERE/record/site" "$HERE/record/nginx.conf" "$work"
  python3 "$HERE/record/make_files.py" "$work/site"
  find "$work/site" -type f -exec touch -d "$FILE_DATE" {} +
  chmod -R a+rX "$work"
  # Maildir: what is new lies in new/.
  install -d -o mail -g mail "$work/mail/ada"/{,cur,new,tmp}
  install -o mail -g mail -m 600 "$HERE"/record/mail/*.eml "$work/mail/ada/new"
  sed "s|WORK|$work|g" "$HERE/record/dovecot.conf" >"$work/dovecot.conf"
  sed "s|WORK|$work|g" "$HERE/record/haproxy.cfg" >"$work/haproxy.cfg"
  openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=shop.example -days 1 \
    -keyout "$work/haproxy.key" -out "$work/haproxy.crt" 2>/dev/null
  cat "$work/haproxy.crt" "$work/haproxy.key" >"$work/haproxy.pem"
  # Not through a function: the process in the background must be the server, to be ended by its id.
  local inside="ip netns exec $SERVER"
  $inside nginx -p "$work" -c nginx.conf 2>"$work/nginx.log" & server_pids+=($!)
  $inside node "$HERE/record/server.mjs" & server_pids+=($!)
  $inside python3 -m http.server -d "$work/site" 8000 >"$work/python.log" 2>&1 & server_pids+=($!)
  $inside haproxy -db -f "$work/haproxy.cfg" & server_pids+=($!)
  $inside dovecot -F -c "$work/dovecot.conf" & server_pids+=($!)
  for port in 80 110 3000 3128 8000 8080 8081 8091 8092 8093 8094 8096 9000; do
    for attempt in {1..100}; do
      in_server bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null && break
      ((attempt < 100)) || { echo "record-pcaps.sh: no server on port $port" >&2; exit 1; }
      sleep 0.1
    done
  done
}

# Runs a recorder in the server's namespace (or $RECORD_IN) while the function `scene` runs.
record_with() {  # scene command...
  local scene=$1
  shift
  ip netns exec "${RECORD_IN:-$SERVER}" timeout -s INT $STEP_SECONDS "$@" \
    >"$work/recorder.log" 2>&1 &
  local recorder=$!
  for attempt in {1..100}; do
    grep -qE 'listening on|^File: ' "$work/recorder.log" && break
    ((attempt < 100)) || { cat "$work/recorder.log" >&2; exit 1; }
    sleep 0.1
  done
  sleep 0.2
  $scene
  sleep 1.3  # the last FINs and ACKs; the kernel hands its blocks over once a second
  kill -INT $recorder
  wait $recorder || true
}

record() {  # scene file device [tcpdump's options and filter]
  local scene=$1 file=$2 device=$3
  shift 3
  record_with "$scene" tcpdump -Z root -n -U -i "$device" -w "$OUT/$file" "$@"
}

request() { in_client curl -s "$@" >/dev/null; }

# ---- what is asked, by scene ----

site_and_api() {
  local next=(--next -s)
  local json='Content-Type: application/json'
  # The page and what it needs, on one connection.
  request "http://$HOST/" "${next[@]}" "http://$HOST/style.css" \
    "${next[@]}" "http://$HOST/app.js" "${next[@]}" "http://$HOST/logo.png" \
    "${next[@]}" "http://$HOST/api/products?limit=3&sort=price" \
    "${next[@]}" "http://$HOST/favicon.ico"
  # A visitor who comes back, signs in and shops, on another.
  request -H "If-Modified-Since: Wed, 01 Jan 2025 00:00:00 GMT" "http://$HOST/" \
    "${next[@]}" -d 'user=ada&password=lovelace' "http://$HOST/api/login" \
    "${next[@]}" -b 'session=8f14e45f; theme=sea' -H "$json" \
    -d '{"product":2,"quantity":1,"note":"für Zoë ☕"}' "http://$HOST/api/cart" \
    "${next[@]}" -b 'session=8f14e45f; theme=sea' -X PATCH -H "$json" -d '{"quantity":3}' \
    "http://$HOST/api/cart/17" \
    "${next[@]}" -b 'session=8f14e45f; theme=sea' -X DELETE "http://$HOST/api/cart/17/items/2" \
    "${next[@]}" -I "http://$HOST/shop"
}

pipelining() {
  in_client node "$HERE/record/client.mjs" pipeline $HOST
  in_client node "$HERE/record/client.mjs" split $HOST 8080
}

chunked() {
  request "http://$HOST:8080/stream" \
    --next -s "http://$HOST:8080/trailers" \
    --next -s --compressed "http://$HOST:8080/gzip"
  request --compressed "http://$HOST/gzip/style.css" "http://$HOST/gzip/app.js"
  request "http://$HOST:8081/extensions"
  in_client node "$HERE/record/client.mjs" trailers $HOST 8080
}

no_body() {
  local next=(--next -s)
  request -I "http://$HOST/tides.csv" \
    "${next[@]}" -H 'If-Modified-Since: Wed, 01 Jan 2025 00:00:00 GMT' "http://$HOST/tides.csv" \
    "${next[@]}" -X DELETE "http://$HOST/api/cart/17/items/2" \
    "${next[@]}" -H 'Expect: 100-continue' -d 'quantity=1' "http://$HOST/api/upload" \
    "${next[@]}" -I "http://$HOST/missing"
  request "http://$HOST:8080/not-modified" \
    "${next[@]}" "http://$HOST:8080/no-content" "${next[@]}" "http://$HOST:8080/hints" \
    "${next[@]}" -I "http://$HOST:8080/stream" "${next[@]}" "http://$HOST:8080/nothing"
  # The server refuses before the announced body is sent; it never is.
  request -H 'Expect: 100-continue' --data-binary "@$work/site/upload.bin" \
    "http://$HOST:8080/echo"
}

posts() {
  local next=(--next -s)
  request -H 'Content-Type: application/json' \
    -d '{"product":1,"quantity":2,"gift":{"to":"Zoë","text":"¡Feliz día! 🎂"}}' \
    "http://$HOST/api/cart" \
    "${next[@]}" --data-urlencode 'user=ada' --data-urlencode 'password=l&v=lace +1' \
    "http://$HOST/api/login" \
    "${next[@]}" -F 'title=Tides of Helgoland' -F "table=@$work/site/style.css;type=text/css" \
    -F "logo=@$work/site/logo.png" "http://$HOST/api/upload" \
    "${next[@]}" -d '' "http://$HOST/api/upload" \
    "${next[@]}" -T "$work/site/upload.bin" "http://$HOST/api/upload" \
    "${next[@]}" -H 'Transfer-Encoding: chunked' -H 'Expect:' \
    --data-binary "@$work/site/style.css" "http://$HOST/api/upload"
}

body_1mb() { request "http://$HOST/archive.bin" "http://$HOST/api/products"; }

upload_and_download() {
  request -H 'Expect:' -T "$work/site/archive.part" "http://$HOST/api/upload" \
    --next -s "http://$HOST/archive.part" \
    --next -s "http://$HOST/style.css"
}

# An answer of a language model, word for word, and a stream of events.
event_streams() {
  local question='{"model":"tide-1","stream":true,"messages":[{"role":"user","content":"When is the tide?"}]}'
  request -N -H 'Content-Type: application/json' -d "$question" \
    "http://$HOST:8080/v1/chat/completions" --next -s -N "http://$HOST:8080/stream"
}

websocket() { in_client node "$HERE/record/client.mjs" websocket $HOST 8080; }

connect() {
  in_client node "$HERE/record/client.mjs" connect $HOST 3128
  request -x "http://$HOST:3128" "http://shop.example/style.css"
}

http10() {
  request -0 "http://$HOST:8080/stream"
  request -0 --compressed "http://$HOST/gzip/app.js"
  request --compressed "http://$HOST/until-close/style.css"
  request "http://$HOST:8000/style.css"
  request -0 -H 'Connection: keep-alive' "http://$HOST/style.css" "http://$HOST/app.js"
}

ipv6() {
  request -g "http://[$HOST6]/" "http://[$HOST6]/tides.csv" \
    --next -s -g -d 'user=ada&password=lovelace' "http://[$HOST6]/api/login"
}

routed() {
  request "http://$ROUTED_HOST/tides.csv" \
    --next -s -H 'Expect:' -T "$work/site/upload.bin" "http://$ROUTED_HOST/api/upload" \
    --next -s "http://$ROUTED_HOST/app.js"
}

big_segments() {
  request -g "http://[$HOST6]/archive.part" "http://[$HOST6]/style.css"
}

two_requests() {
  request "http://$HOST/app.js" "http://$HOST/api/products"
}

two_sides() { request "http://$HOST/app.js" "http://$HOST/gateway/products"; }

on_loopback() {
  in_server curl -s >/dev/null "http://localhost/style.css" "http://127.0.0.1:8080/trailers"
}

pop3() { in_client python3 "$HERE/record/pop3_client.py" $HOST; }

# What HAProxy sends to nginx: a connection for each of the client's.
proxied() {
  for port in 8091 8092; do
    request "http://$HOST:$port/style.css" "http://$HOST:$port/api/products?limit=1"
    request -g "http://[$HOST6]:$port/" --next -s -g -d 'quantity=1' \
      "http://[$HOST6]:$port/api/upload"
  done
  request -k "https://$HOST:8093/style.css" "https://$HOST:8093/api/products"
}

# What HAProxy sends to nginx, and nginx to the API: each adds whom it was asked by. The client makes up
# an address, and repeats its token.
forwarded() {
  local token='token=8f14e45fceea167a' made_up='X-Forwarded-For: 192.0.2.66'
  for port in 8094 8096; do
    request -H "$made_up" -d 'user=ada&password=lovelace' "http://$HOST:$port/api/login?$token" \
      --next -s -H 'Content-Type: application/json' -e "http://$HOST:$port/shop?$token" \
      -d '{"product":1,"card":{"number":"4111 1111 1111 1111"},"mail":"ada@shop.example"}' \
      "http://$HOST:$port/api/cart?$token"
    request -g -H 'Forwarded: for=unknown' -F 'user=ada' -F 'password=lovelace' \
      "http://[$HOST6]:$port/api/upload"
  done
}

download() {
  # 100 ms between the requests: holes are given up while the connection lives, too.
  request --rate 600/m "http://$HOST/style.css" "http://$HOST/tides.csv" "http://$HOST/photo.bin" \
    "http://$HOST/api/products" "http://$HOST/app.js"
}

# ---- which recorder for which scene ----

record_all() {
  record site_and_api site_and_api.pcap eth0 tcp
  record pipelining pipelining.pcap eth0 tcp
  record chunked chunked.pcap eth0 tcp
  record no_body no_body.pcap eth0 tcp
  record posts posts.pcap eth0 tcp
  record body_1mb body_1mb.pcap eth0 tcp
  record event_streams event_streams.pcap eth0 tcp
  record websocket websocket.pcap eth0 tcp
  record connect connect_proxy.pcap eth0 tcp
  record http10 http10_until_close.pcap eth0 tcp
  record ipv6 ipv6.pcap eth0 tcp
  record pop3 pop3.pcap eth0 tcp
  record download download.pcap eth0 tcp
  record proxied proxied.pcap lo 'tcp port 8090'
  record forwarded forwarded.pcap lo 'tcp port 8090 or tcp port 8095 or tcp port 3000'
  # No filter: "tcp" alone would miss every later fragment.
  RECORD_IN=$CLIENT record routed fragments_ipv4.pcap eth1 ip
  record two_requests nanoseconds.pcap eth0 --time-stamp-precision=nano tcp
  record two_requests any_sll2.pcap any -y LINUX_SLL2 tcp
  record two_requests any_sll.pcap any -y LINUX_SLL tcp
  record on_loopback loopback.pcap lo tcp
  # A gateway's two sides: the client's connection and the one to the API behind it.
  record_with two_sides dumpcap -q -i eth0 -f tcp -i lo -f tcp -w "$work/gateway.pcapng"
  install -m 644 "$work/gateway.pcapng" "$OUT/gateway_two_sides.pcapng"

  head -c 300000 "$work/site/archive.bin" >"$work/site/archive.part"
  touch -d "$FILE_DATE" "$work/site/archive.part"
  offloads $CLIENT eth0 on
  offloads $SERVER eth0 on
  record upload_and_download offloads_on.pcap eth0 tcp
  # "BIG TCP": segments over 64 KiB, as IPv6 jumbograms (RFC 2675). tcpdump's immediate mode would
  # cut them: its ring has slots of 64 KiB.
  ip -n $CLIENT link set eth0 gso_max_size 180000 gro_max_size 180000
  ip -n $SERVER link set eth0 gso_max_size 180000 gro_max_size 180000
  ip -n $CLIENT -6 route add fd77::2/128 dev eth0 initrwnd 400
  ip -n $SERVER -6 route add fd77::1/128 dev eth0 initcwnd 400
  ip netns exec $SERVER sysctl -q -w net.ipv4.tcp_wmem='4096 4000000 8000000'
  ip netns exec $CLIENT sysctl -q -w net.ipv4.tcp_rmem='4096 4000000 8000000'
  record big_segments big_tcp_ipv6.pcap eth0
}

rewrite_all() {
  tcprewrite --enet-vlan=add --enet-vlan-tag=100 --enet-vlan-cfi=0 --enet-vlan-pri=3 \
    -i "$OUT/posts.pcap" -o "$OUT/vlan.pcap"
  tcprewrite --enet-vlan=add --enet-vlan-tag=7 --enet-vlan-cfi=0 --enet-vlan-pri=0 \
    -i "$OUT/no_body.pcap" -o "$work/inner.pcap"
  tcprewrite --enet-vlan=add --enet-vlan-tag=200 --enet-vlan-cfi=0 --enet-vlan-pri=0 \
    --enet-vlan-proto=802.1ad -i "$work/inner.pcap" -o "$OUT/qinq.pcap"
  mergecap -F pcapng -w "$OUT/mixed_links.pcapng" "$OUT/any_sll2.pcap" "$OUT/loopback.pcap"
  hide_machine "$OUT/gateway_two_sides.pcapng" "$OUT/mixed_links.pcapng"
}

# pcapng names the recording machine; its kernel and processor are nobody's business.
hide_machine() {  # file...
  python3 - "$@" <<'PYTHON'
import pathlib, platform, re, sys

model = re.search("model name\\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
for file in map(pathlib.Path, sys.argv[1:]):
    data = file.read_bytes()
    for name in [platform.release()] + ([model[1]] if model else []):
        data = data.replace(name.encode(), b"-" * len(name))
    file.write_bytes(data)
PYTHON
}

# The numbers of the frames that match a tshark filter.
frames() { tshark -r "$OUT/$1" -Y "$2" -T fields -e frame.number 2>/dev/null; }

damage_all() {
  cmake -S "$HERE/pcapdamage" -B "$work/build" -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build "$work/build" --target pcapdamage >/dev/null
  local damage="$work/build/pcapdamage" whole="$OUT/download.pcap"
  local body headers requests
  # Full segments: the 17 of tides.csv, then the 41 of photo.bin.
  mapfile -t body < <(frames download.pcap 'tcp.srcport == 80 && tcp.len == 1448')
  # The segments in which the responses begin, and the requests.
  mapfile -t headers < <(frames download.pcap 'tcp.srcport == 80 && tcp.payload[0:4] == "HTTP"')
  mapfile -t requests < <(frames download.pcap 'tcp.dstport == 80 && tcp.len > 0')
  ((${#body[@]} >= 50 && ${#headers[@]} == 5 && ${#requests[@]} == 5)) ||
    { echo "record-pcaps.sh: download.pcap is not as expected" >&2; exit 1; }
  # One hole in tides.csv, one of two segments behind it, one in photo.bin.
  "$damage" --drop "${body[5]},${body[8]}-$((body[8] + 1)),${body[30]}" \
    "$whole" "$OUT/loss_in_body.pcap"
  # The beginning of the response for photo.bin, the request to the API.
  "$damage" --drop "${headers[2]},${requests[3]}" "$whole" "$OUT/loss_in_headers.pcap"
  "$damage" --seed 11 --drop-random 0.1 "$whole" "$OUT/loss_random.pcap"
  "$damage" --seed 12 --reorder 0.15 --reorder-distance 4 "$whole" "$OUT/reordered.pcap"
  "$damage" --seed 13 --duplicate 0.25 --duplicate-distance 6 "$whole" "$OUT/duplicated.pcap"
  "$damage" --cut-start "${body[6]}" "$whole" "$OUT/midstream.pcap"
  "$damage" --wrap-after 300 "$whole" "$OUT/sequence_wrap.pcap"
  "$damage" --seed 14 --reorder 0.1 --duplicate 0.1 --duplicate-distance 8 --wrap-after 20000 \
    --fragment 700 --big-endian "$whole" "$OUT/all_without_loss.pcap"
  "$damage" --snaplen 400 "$whole" "$OUT/snaplen.pcap"
  "$damage" --seed 15 --fragment 600 --fragment-reverse "$OUT/ipv6.pcap" "$OUT/fragments_ipv6.pcap"
}

check_tools
mkdir -p "$OUT"
build_network
start_servers
record_all
rewrite_all
damage_all
ls -l "$OUT"/*.pcap "$OUT"/*.pcapng
