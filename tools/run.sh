#!/usr/bin/env bash
# Builds tcp-sniffer when needed, and runs it: tools/run.sh [flags of tcp-sniffer]
#
# Without flags it shows the messages of a small recorded capture. Standard output is
# tcp-sniffer's alone; `tools/run.sh --help` tells its flags.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$root/tools/install-packages.sh" build
"$root/tools/build.sh" release tcp-sniffer

(($#)) || set -- -r "$root/pcaps/site_and_api.pcap"
exec "$root/build/release/tcp-sniffer" "$@"
