#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: tools/test.sh [ci|all|release|asan|tsan|ts]
#
# Without an argument, the release build's tests and the TypeScript package's. `ci`: beside them each fuzz
# target for a minute, at the lowest priority. `all`, as before a release: also the whole suite under the address and undefined-behaviour sanitizers, what has threads
# under the thread sanitizer, and each fuzz target for 20 seconds. Either is one run of ctest, whose
# summary is the last thing printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run_ctest() {  # PRESET [ARGUMENT...]
  local preset=$1
  shift
  # Two places for each processor: tests/discover.cmake.
  ctest --preset "$preset" --no-tests=error --parallel "$((2 * $(nproc)))" "$@"
}

case ${1:-default} in
  default)
    tools/install-packages.sh build test typescript
    tools/build.sh release
    run_ctest release -C full
    ;;
  ci)
    tools/install-packages.sh build test fuzz typescript
    for preset in release fuzz; do tools/build.sh "$preset"; done
    # One place more, which the fuzz targets take one after the other.
    run_ctest release --parallel "$((2 * $(nproc) + 1))" -C ci
    ;;
  all)
    tools/install-packages.sh build test fuzz typescript
    for preset in release asan-ubsan tsan fuzz; do tools/build.sh "$preset"; done
    run_ctest release -C sanitizers
    ;;
  release)
    tools/install-packages.sh build test
    tools/build.sh release
    shift
    run_ctest release "$@"  # arguments behind it are ctest's
    ;;
  asan)
    tools/install-packages.sh build test
    tools/build.sh asan-ubsan
    run_ctest asan-ubsan
    ;;
  tsan)
    tools/install-packages.sh build test
    tools/build.sh tsan
    run_ctest tsan
    ;;
  ts)
    tools/install-packages.sh build typescript
    tools/build.sh release tcp-sniffer
    run_ctest release -C full -R '^suite\.typescript$'
    ;;
  *)
    echo "usage: tools/test.sh [ci|all|release|asan|tsan|ts]" >&2
    exit 2
    ;;
esac
