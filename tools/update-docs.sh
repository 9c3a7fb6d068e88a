#!/usr/bin/env bash
# Writes the table of keys into docs/configuration.md, as the release build of tcp-sniffer prints it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/build.sh release tcp-sniffer
table=$(mktemp)
trap 'rm -f "$table"' EXIT
build/release/tcp-sniffer --help-keys-markdown >"$table"
sed -i -e "/<!-- keys:begin -->/,/<!-- keys:end -->/{/<!-- keys:begin -->/r $table" \
  -e '/<!-- keys:/!d}' docs/configuration.md
