#!/usr/bin/env bash
# Configures and builds one preset quietly: tools/build.sh PRESET [TARGET...]
#
# Says on standard error that it builds, and how far it is when that is a terminal; the whole
# output of the tools only when it fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=$1
shift

mkdir -p build
log=$(mktemp "build/$preset.XXXXXX.log")
progress() {
  if [[ ! -t 2 ]]; then
    sleep 2 2>/dev/null
    echo "building $preset ..." >&2
    return
  fi
  while sleep 0.5 2>/dev/null; do
    printf '\r\e[Kbuilding %s: %s' "$preset" "$(tail -n 1 "$log" | cut -c -90)" >&2
  done
}
progress >/dev/null &
progress=$!
at_end() {
  kill "$progress" 2>/dev/null || true
  wait "$progress" 2>/dev/null || true
  rm -f "$log"
  [[ ! -t 2 ]] || printf '\r\e[K' >&2
}
trap at_end EXIT

if ! { cmake --preset "$preset" &&
       cmake --build --preset "$preset" --target "${@:-all}"; } >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  echo "building $preset failed" >&2
  exit 1
fi
