#!/usr/bin/env bash
# Writes the tables of keys and of fields into docs/configuration.md and docs/fields.md, as the release build of tcp-sniffer prints it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools/build.sh release tcp-sniffer
table=$(mktemp)
trap 'rm -f "$table"' EXIT
for name in keys fields; do
  document=docs/configuration.md
  [ $name = fields ] && document=docs/fields.md
  build/release/tcp-sniffer --help-$name-markdown >"$table"
  sed -i -e "/<!-- $name:begin -->/,/<!-- $name:end -->/{/<!-- $name:begin -->/r $table" \
    -e "/<!-- $name:/!d}" $document
done
