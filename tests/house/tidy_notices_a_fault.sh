#!/usr/bin/env bash
# Shows that tools/tidy.py can fail, also by a header and in files that are checked as one: FOLDER is made for it.
set -euo pipefail
folder=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$folder"
mkdir -p "$folder"/{build/Unity,tools,src/core/low}
cp "$root/.clang-tidy" "$folder"
cp "$root/tools/tidy.py" "$folder/tools"
cd "$folder"
echo 'inline int* header_fault() { return 0; }' >src/core/low/wrong.h
printf '#include "core/low/wrong.h"\nint* file_fault() { return 0; }\n' >src/core/low/wrong.cc
echo 'int right() { return 0; }' >src/core/low/right.cc
echo 'int* alone() { return 0; }' >src/core/low/alone.cc
printf '#include "%s"\n' "$PWD"/src/core/low/{right,wrong}.cc >build/Unity/unity_low.cc
separator="["
for file in build/Unity/unity_low.cc src/core/low/alone.cc; do
  printf '%s{"directory": "%s", "file": "%s", "command": "/usr/bin/ccache c++ -I%s/src -c %s"}' \
    "$separator" "$PWD" "$PWD/$file" "$PWD" "$PWD/$file"
  separator=,
done >build/compile_commands.json
echo ']' >>build/compile_commands.json

code=0
said=$(tools/tidy.py -p build) || code=$?
[ "$code" != 77 ] || exit 77
[ "$code" = 1 ]
grep -q 'wrong\.h:1:.*modernize-use-nullptr' <<<"$said"
grep -q 'wrong\.cc:2:.*modernize-use-nullptr' <<<"$said"
grep -q 'alone\.cc:1:.*modernize-use-nullptr' <<<"$said"
sed -i 's/return 0/return nullptr/' src/core/low/{wrong,alone}.*
tools/tidy.py -p build
