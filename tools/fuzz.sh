#!/usr/bin/env bash
# Builds the fuzz targets of tests/fuzz and runs them, as many at a time as there are CPUs (or as
# TCP_SNIFFER_FUZZ_JOBS says):
#
#   tools/fuzz.sh TIME [TARGET...]    each target for TIME: 2 (hours), 0.5, 30m or 60s
#
# What a target learns is kept in build/fuzz/corpus/TARGET and used again (TCP_SNIFFER_FUZZ_CORPUS names
# another folder), what it finds in build/fuzz/findings. TCP_SNIFFER_FUZZ_SEED=1 makes runs that can be
# repeated. Prints a summary; fails when anything was found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  sed -n '2,9s/^# \?//p' "$0" >&2
  exit 2
}

seconds_of() {  # TIME
  local unit=3600
  case $1 in
    *s) unit=1 ;;
    *m) unit=60 ;;
  esac
  [[ ${1%[smh]} =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage
  awk -v time="${1%[smh]}" -v unit=$unit 'BEGIN { printf "%d", time * unit }'
}

all_targets() {
  for source in tests/fuzz/*_fuzz.cc; do basename "$source" _fuzz.cc; done
}

# Runs one target; the last word of libFuzzer and what it found go into the log.
fuzz_one() {  # TARGET
  local target=$1 log=$logs/$1.log seeds=("tests/fuzz/corpus/$1") longest=4096
  case $target in
    capture_file) seeds+=(tests/cases pcaps) longest=16384 ;;
    segments | conversation) longest=600 ;;  # 150 segments; more would only be slower
  esac
  mkdir -p "$corpus/$target" "$findings"
  local status=0
  UBSAN_OPTIONS=print_stacktrace=1 "build/fuzz/tests/fuzz/fuzz_$target" \
    -max_total_time="$seconds" -seed="${TCP_SNIFFER_FUZZ_SEED:-0}" -entropic=0 -len_control=0 -max_len="$longest" \
    -timeout=120 -rss_limit_mb=4096 -print_final_stats=1 \
    -dict=tests/fuzz/http.dict -artifact_prefix="$findings/$target-" \
    "$corpus/$target" "${seeds[@]}" >"$log" 2>&1 || status=$?
  echo "exit status $status" >>"$log"
}

summary() {
  printf '%-14s %12s %9s %9s %7s  %s\n' target runs runs/s coverage inputs finding
  local failed=0 target log runs rate coverage finding
  for target in "${targets[@]}"; do
    log=$logs/$target.log
    runs=$(awk '/^stat::number_of_executed_units/ { print $2 }' "$log")
    rate=$(awk '/^stat::average_exec_per_sec/ { print $2 }' "$log")
    coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 | cut -d ' ' -f 2 || true)
    finding=none
    if ! grep -qx 'exit status 0' "$log"; then
      finding=$(grep -oE 'Test unit written to .*' "$log" | tail -n 1 | cut -d ' ' -f 5 || true)
      finding=${finding:-see the log} failed=1
    fi
    printf '%-14s %12s %9s %9s %7s  %s\n' "$target" "${runs:--}" "${rate:--}" "${coverage:--}" \
      "$(find "$corpus/$target" -type f | wc -l)" "$finding"
  done
  ((failed)) || return 0
  for target in "${targets[@]}"; do
    grep -qx 'exit status 0' "$logs/$target.log" && continue
    echo "--- $target"
    grep -vE '^#[0-9]+|^INFO|NewPC|^stat::' "$logs/$target.log" | tail -n 60 || true
  done
  return 1
}

(($# >= 1)) || usage
seconds=$(seconds_of "$1")
shift
targets=("$@")
(($#)) || mapfile -t targets < <(all_targets)
for target in "${targets[@]}"; do
  [[ -f tests/fuzz/${target}_fuzz.cc ]] ||
    { echo "no target $target; there are: $(all_targets | xargs)" >&2 && exit 2; }
done

tools/install-packages.sh build fuzz
tools/build.sh fuzz "${targets[@]/#/fuzz_}"

corpus=${TCP_SNIFFER_FUZZ_CORPUS:-build/fuzz/corpus}
findings=build/fuzz/findings
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export seconds corpus findings logs
export -f fuzz_one
printf '%s\n' "${targets[@]}" | xargs -P "${TCP_SNIFFER_FUZZ_JOBS:-$(nproc)}" -I{} bash -c 'fuzz_one {}'
summary
