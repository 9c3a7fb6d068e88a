#!/usr/bin/env bash
# Runs the recorded captures on processors that this machine is not: tools/portability.sh
#
# The release build on an x86-64 processor without AVX and on one with AVX2, and a build for
# arm64, all emulated: slow, and no measure of speed. The lines have to be the expected ones. Needs
# qemu-user and g++-aarch64-linux-gnu; arm64's libraries are Debian's packages, unpacked in
# build/arm64-root and not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD/build/arm64-root

for command in qemu-x86_64 qemu-aarch64 aarch64-linux-gnu-g++; do
  command -v "$command" >/dev/null ||
    { echo "no $command: apt-get install qemu-user g++-aarch64-linux-gnu" >&2 && exit 1; }
done

unpack_libraries() {
  local apt=$root.apt packages
  mkdir -p "$apt"/{state/lists/partial,cache/archives/partial}
  touch "$apt/status"
  apt_get() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt/state" \
      -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 "$@"
  }
  packages=$(sed -n '/^\[build\]/,/^\[typescript\]/p' tools/packages.txt |
    grep -E '^(lib|node-|nlohmann|prometheus|zlib)' | grep -v benchmark)
  apt_get update
  # shellcheck disable=SC2086
  apt_get install -y --no-install-recommends --download-only libc6-dev libstdc++-12-dev $packages
  mkdir -p "$root.part"
  for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$root.part"; done
  find "$root.part" -type l | while read -r link; do
    target=$(readlink "$link")
    [[ $target != /* ]] || ln -sfn "$root$target" "$link"
  done
  mv "$root.part" "$root"
}

[[ -d $root ]] || unpack_libraries
tools/install-packages.sh build
tools/build.sh release tcp-sniffer e2e_test
cmake -S . -B build/arm64 -G Ninja -DCMAKE_BUILD_TYPE=Release -DTCP_SNIFFER_BENCH=OFF \
  -DTCP_SNIFFER_TESTS=OFF -DCMAKE_TOOLCHAIN_FILE=cmake/arm64.cmake -DARM64_ROOT="$root" >/dev/null
cmake --build build/arm64 --target tcp-sniffer

for command in \
  "qemu-x86_64 -cpu qemu64 build/release/tcp-sniffer" \
  "qemu-x86_64 -cpu max build/release/tcp-sniffer" \
  "qemu-aarch64 -L $root build/arm64/tcp-sniffer"; do
  echo "== $command"
  TCP_SNIFFER_COMMAND=$command build/release/tests/e2e_test --gtest_brief=1 --gtest_filter='Pcaps/*'
done
