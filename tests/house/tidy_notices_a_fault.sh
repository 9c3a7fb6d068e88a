#!/usr/bin/env bash
# Shows that tools/tidy.py can fail, also by a header and in files that are checked as one: FOLDER is made for it.
set -euo pipefail
folder=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$folder"
mkdir -p "$folder"/{build,tools,src/core/low}
cp "$root/.clang-tidy" "$folder"
cp "$root/tools/tidy.py" "$folder/tools"
cd "$folder"
echo 'inline int* header_fault() { return 0; }' >src/core/low/wrong.h
printf '#include "core/low/wrong.h"\nint* file_fault() { return 0; }\n' >src/core/low/wrong.cc
echo 'int right() { return 0; }' >src/core/low/right.cc
separator="["
for file in right wrong; do
  printf '%s{"directory": "%s", "file": "%s/src/core/low/%s.cc", "command": "/usr/bin/ccache c++ -I%s/src -c %s/src/core/low/%s.cc"}' \
    "$separator" "$PWD" "$PWD" "$file" "$PWD" "$PWD" "$file"
  separator=,
done >build/compile_commands.json
echo ']' >>build/compile_commands.json

code=0
said=$(tools/tidy.py -p build) || code=$?
[ "$code" != 77 ] || exit 77
[ "$code" = 1 ]
grep -q 'wrong\.h:1:.*modernize-use-nullptr' <<<"$said"
grep -q 'wrong\.cc:2:.*modernize-use-nullptr' <<<"$said"
sed -i 's/return 0/return nullptr/' src/core/low/wrong.*
tools/tidy.py -p build
# Two files with one name cannot be checked as one, so each is checked alone.
echo 'int* header_fault() { return nullptr; }' >>src/core/low/right.cc
tools/tidy.py -p build
echo 'int* alone() { return 0; }' >>src/core/low/right.cc
said=$(tools/tidy.py -p build) && exit 1
grep -q 'right\.cc:3:.*modernize-use-nullptr' <<<"$said"
