#!/usr/bin/env bash
# Lays out every C++ file as .clang-format says: tools/format.sh [--check]
#
# With --check no file is changed: those that would be are named, and the exit code is 1. Versions of
# clang-format differ in small things, so only version 14 counts. Without it the exit code is 77, a
# skipped test; 1 where TCP_SNIFFER_FAIL_ON_SKIP is set, as in CI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for formatter in clang-format-14 clang-format none; do
  [[ $("$formatter" --version 2>/dev/null) == *"version 14."* ]] && break
done
if [ "$formatter" = none ]; then
  echo "clang-format 14 is not installed: tools/install-packages.sh test" >&2
  [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ] || exit 1
  exit 77
fi

files() { git ls-files -z -- {src,tests,bench,tools}/'*.h' {src,tests,bench,tools}/'*.cc'; }
[ "$(files | tr '\0' '\n' | wc -l)" -gt 0 ] || { echo "git names no file" >&2; exit 1; }

case ${1:-} in
  "") files | xargs -0 "$formatter" -i ;;
  --check)
    said=$(files | xargs -0 "$formatter" --dry-run --Werror 2>&1) && exit 0
    # One message for each place in a file: FILE:LINE:COLUMN: error: code should be clang-formatted
    sed -nE 's/^([^:]+):[0-9]+:[0-9]+: error: .*/tools\/format.sh would change \1/p' <<<"$said" |
      sort -u | grep . || echo "$said"
    exit 1
    ;;
  *)
    echo "usage: tools/format.sh [--check]" >&2
    exit 2
    ;;
esac
