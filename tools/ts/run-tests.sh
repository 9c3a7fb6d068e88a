#!/bin/sh
# Installs, lints, checks types, builds and tests the package: tools/ts/run-tests.sh
#
# TCP_SNIFFER_BINARY names the engine to test against; without it the build tree's is taken, and
# without one the tests that need it are skipped and say so. With TCP_SNIFFER_FAIL_ON_SKIP=1, as in CI,
# a skipped test fails.
set -eu
cd "$(dirname "$0")"

if [ -z "${TCP_SNIFFER_BINARY:-}" ] && [ -x ../../build/release/tcp-sniffer ]; then
  TCP_SNIFFER_BINARY=$(cd ../../build/release && pwd)/tcp-sniffer
fi
case "${TCP_SNIFFER_BINARY:-}" in
  "" | /*) ;;
  *) TCP_SNIFFER_BINARY=$OLDPWD/$TCP_SNIFFER_BINARY ;;
esac
export TCP_SNIFFER_BINARY="${TCP_SNIFFER_BINARY:-}"

npm ci --no-audit --no-fund --loglevel=error
npm run --silent lint
npm run --silent build
npm run --silent build:test  # this checks the types of all
# Many tests wait for processes; not every Node 18 lets us say how many files run at once.
parallel=
if node --help | grep -q -e --test-concurrency; then parallel=--test-concurrency=3; fi
if [ -z "${TCP_SNIFFER_FAIL_ON_SKIP:-}" ]; then
  exec node --test $parallel build/test/*.test.js
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
node --test $parallel build/test/*.test.js >"$log" 2>&1 || status=$?
cat "$log"
if grep -Eq '^[^ ]+ skipped [1-9]' "$log"; then
  echo "a test was skipped" >&2
  exit 1
fi
exit $status
