#!/usr/bin/env python3
"""Compares tcp-sniffer with its peers on generated captures whose messages are known.

Makes the captures, warms the page cache, runs everything interleaved, checks the number of
messages, and writes bench/results/compare.{md,svg,json}, the block of docs/performance.md between
<!-- bench:begin --> and <!-- bench:end -->, and the README's table between <!-- speed:begin --> and
<!-- speed:end -->.
"""

import argparse
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from statistics import median

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import measure
import report
import variants

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORKLOADS = ["bulk", "api", "short", "mixed", "idle"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", help="a finished build folder; without it, one is built in "
                        "build/compare")
    parser.add_argument("--directory", help="where the captures go (default: a temporary folder); "
                        "twice the size must be free")
    parser.add_argument("--size", default="1G", help="of each capture (default: 1G)")
    parser.add_argument("--slice", type=int, default=32, metavar="MIB",
                        help="size of the capture for tshark and tcpflow (default: 32)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--workloads", default="bulk,api,short,idle",
                        help=f"some of {','.join(WORKLOADS)} (default: bulk,api,short,idle)")
    parser.add_argument("--only", metavar="TEXT", help="only variants whose program, settings and "
                        "shards contain TEXT, as in 'tcp-sniffer headers 0'; writes no results")
    parser.add_argument("--idle-connections", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the captures in place")
    parser.add_argument("--no-slow", action="store_true", help="without tshark and tcpflow")
    parser.add_argument("--no-results", action="store_true", help="print, but write no file")
    arguments = parser.parse_args()
    arguments.workloads = arguments.workloads.split(",")
    for name in arguments.workloads:
        if name not in WORKLOADS:
            parser.error(f"--workloads: '{name}' is not one of {', '.join(WORKLOADS)}")
    if arguments.runs < 1:
        parser.error(f"--runs: '{arguments.runs}' is not at least 1")
    if arguments.slice < 1:
        parser.error(f"--slice: '{arguments.slice}' is not at least 1")
    return arguments


def build_here():
    folder = os.path.join(ROOT, "build", "compare")
    subprocess.run(["cmake", "--preset", "release", "-B", folder, "-DTCP_SNIFFER_TESTS=OFF",
                    "-DTCP_SNIFFER_BENCH=ON", "-DTCP_SNIFFER_BENCH_PEERS=ON"], cwd=ROOT, check=True)
    subprocess.run(["cmake", "--build", folder], cwd=ROOT, check=True)
    return folder


def generate(pcapgen, workload, path, size, seed, *extra):
    subprocess.run([pcapgen, f"--workload={workload}", f"--size={size}", f"--seed={seed}",
                    f"--output={path}", *extra], check=True)
    measure.warm(path)
    with open(path + ".expected.json", encoding="utf-8") as expected:
        return json.load(expected)


def remove(path):
    for name in (path, path + ".expected.json"):
        if os.path.exists(name):
            os.remove(name)


def run_once(variant):
    if variant.clean_up:
        shutil.rmtree(variant.clean_up, ignore_errors=True)
    sample = (measure.time_to_pipe if variant.piped else measure.time_to_null)(variant.command)
    if sample.status != 0:
        sys.exit(f"{' '.join(variant.command.arguments)} ended with {sample.status}")
    variant.samples.append(sample)


def run_interleaved(everything, loop, runs):
    for number in range(runs):
        # The yardstick is short: taken before, between and after the others, it sees the same
        # moods of the machine as they do.
        third = max(len(everything) // 3, 1)
        shuffled = list(everything)
        random.Random(number).shuffle(shuffled)
        for at, variant in enumerate(shuffled):
            if at % third == 0:
                run_once(loop)
            if variant.sliced and number >= 3:
                continue
            run_once(variant)
        run_once(loop)
        print(f"    run {number + 1} of {runs}", flush=True)


def count_messages(variant, expected, scratch, problems):
    if variant.clean_up:
        shutil.rmtree(variant.clean_up, ignore_errors=True)
    counted = measure.count(variant.command, os.path.join(scratch, "talk"))
    variant.counted = counted
    name = f"{variant.program} {variant.settings} {variant.shards}".strip()
    if counted.status != 0:
        problems.append(f"{name}: ended with {counted.status}: {counted.last_error_line}")
    if variant.counts and counted.lines != expected["messages"]:
        text = f"{name}: {counted.lines} messages, expected {expected['messages']}"
        print("    " + text)
        if variant.ours:
            problems.append(text)
    if variant.ours and counted.incomplete and not expected["bytesLost"]:
        problems.append(f"{name}: {counted.incomplete} incomplete messages though nothing is lost")


def chosen(everything, only):
    if not only:
        return everything
    words = only.split()
    return [variant for variant in everything if all(
        word in f"{variant.program} {variant.settings} {variant.shards}" for word in words)]


def compare(name, arguments, programs, pcapgen, scratch, problems):
    print(f"{name}:", flush=True)
    capture = os.path.join(scratch, f"{name}.pcap")
    small = os.path.join(scratch, f"{name}-slice.pcap")
    expected = generate(pcapgen, name, capture, arguments.size, arguments.seed)
    everything = variants.ours(programs, capture) + variants.peers(programs, capture)
    workload = {"expected": expected}
    if not arguments.no_slow:
        workload["slice"] = generate(pcapgen, name, small, f"{arguments.slice}M", arguments.seed,
                                     "--concurrency=16")
        everything += variants.slow_peers(programs, small, scratch)
    everything = chosen(everything, arguments.only)
    loop = variants.loop(programs, capture)
    for variant in everything:
        count_messages(variant, workload["slice"] if variant.sliced else expected, scratch,
                       problems)
    run_interleaved(everything, loop, arguments.runs)
    workload["loop"] = median(sample.wall for sample in loop.samples)
    workload["rows"] = [report.row_of(variant, workload) for variant in everything]
    for row in workload["rows"]:
        print(f"    {row['ratio']:8.4f}  {row['program']} {row['settings']} {row['shards']}")
    for path in () if arguments.keep else (capture, small):
        remove(path)
    return workload


def measure_idle(make_variants, count, arguments, pcapgen, scratch, problems):
    """What a further open connection costs: of `count`, beyond a run with a tenth of them, which
    uses the program's fixed pools as much."""
    capture = os.path.join(scratch, "idle.pcap")
    smaller = os.path.join(scratch, "idle-fewer.pcap")
    fewer = max(1, count // 10)
    expected = generate(pcapgen, "idle", capture, "1G", arguments.seed, f"--connections={count}")
    expected_fewer = generate(pcapgen, "idle", smaller, "1G", arguments.seed,
                              f"--connections={fewer}")
    many = chosen(make_variants(capture), arguments.only)
    some = chosen(make_variants(smaller), arguments.only)
    rows = []
    for variant, base in zip(many, some):
        count_messages(base, expected_fewer, scratch, problems)
        count_messages(variant, expected, scratch, problems)
        run_once(variant)
        each = (variant.counted.peak_bytes - base.counted.peak_bytes) / (count - fewer)
        rows.append({
            "program": variant.program, "settings": variant.settings, "shards": variant.shards,
            "connections": count, "peakMiB": variant.counted.peak_bytes / 2**20,
            "bytesPerConnection": each, "messages": variant.counted.lines,
            "expectedMessages": expected["messages"], "seconds": variant.samples[0].wall,
        })
        print(f"    {each:8.0f} bytes a connection  {variant.program} {variant.shards}")
    for path in () if arguments.keep else (capture, smaller):
        remove(path)
    return rows


def compare_idle(arguments, programs, pcapgen, scratch, problems):
    print("idle:", flush=True)
    count = arguments.idle_connections
    # The peers take up to 10 KB a connection: fewer show as much.
    fewer = min(count, 100_000)
    rows = measure_idle(lambda capture: variants.idle_ours(programs, capture, count), count,
                        arguments, pcapgen, scratch, problems)
    rows += measure_idle(lambda capture: variants.idle_peers(programs, capture, fewer), fewer,
                         arguments, pcapgen, scratch, problems)
    return {"rows": rows}


def main():
    arguments = parse()
    build = os.path.abspath(arguments.build) if arguments.build else build_here()
    programs = variants.find_programs(build)
    pcapgen = os.path.join(build, "tools", "pcapgen", "pcapgen")
    for program in (programs.loop, pcapgen):
        if not program or not os.access(program, os.X_OK):
            sys.exit(f"{build} holds no pcapgen or no pcap_loop: build it with "
                     "-DTCP_SNIFFER_BENCH=ON -DTCP_SNIFFER_BENCH_PEERS=ON")
    if not programs.sniffer:
        print("tcp-sniffer is not built: only the peers are measured")
    problems = []
    result = {
        "date": datetime.date.today().isoformat(), "runs": arguments.runs,
        "sliceMiB": arguments.slice, "machine": report.machine(programs), "workloads": {},
    }
    if arguments.directory:
        os.makedirs(arguments.directory, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="compare-", dir=arguments.directory)
    try:
        for name in arguments.workloads:
            if name == "idle":
                result["idle"] = compare_idle(arguments, programs, pcapgen, scratch, problems)
            else:
                result["workloads"][name] = compare(name, arguments, programs, pcapgen, scratch,
                                                    problems)
    finally:
        if arguments.keep:
            print(f"the captures are in {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    print(report.markdown(result, "compare.svg"))
    if not arguments.only and not arguments.no_results:
        found = report.write(result, ROOT)
        print("bench/results/compare.{md,svg,json} written" +
              (", docs/performance.md and README.md too" if found else ""))
    for problem in problems:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
