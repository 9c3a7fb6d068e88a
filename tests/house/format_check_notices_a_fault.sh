#!/usr/bin/env bash
# Shows that tools/format.sh --check can fail, and that it changes nothing: FOLDER is made for it.
set -euo pipefail
folder=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$folder"
mkdir -p "$folder"/{src,tools}
cp "$root/.clang-format" "$folder"
cp "$root/tools/format.sh" "$folder/tools"
echo 'int  value( );' | tee "$folder/src/wrong.h" >"$folder/kept"
echo 'int value();' >"$folder/src/right.h"
git -C "$folder" init -q
git -C "$folder" add src

code=0
said=$("$folder/tools/format.sh" --check) || code=$?
[ "$code" != 77 ] || exit 77
[ "$code" = 1 ]
[ "$said" = "tools/format.sh would change src/wrong.h" ]
cmp "$folder/src/wrong.h" "$folder/kept"
"$folder/tools/format.sh"
cmp "$folder/src/wrong.h" "$folder/src/right.h"
"$folder/tools/format.sh" --check
