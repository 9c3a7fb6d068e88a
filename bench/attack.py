#!/usr/bin/env python3
"""Well-behaved connections beside an attack, with little room: how fast, and whether whole.

Generates the same api traffic without and with an attack, and reads both, interleaved, with room
for 2,000 connections and 32 MiB: bench/attack.py BUILD_DIR [RUNS]. Writes bench/results/attack.md.
"""

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "compare"))

# pylint: disable=wrong-import-position
import measure

ATTACKS = [
    ("none", []),
    ("SYN flood, half of the packets", ["--syn-flood", "0.5"]),
    ("port scan, half of the packets", ["--port-scan", "0.5"]),
    ("garbage, half of the connections", ["--garbage", "0.5"]),
    ("holes in every flight, 32 at a time", ["--holes", "32"]),
    ("5 % of the packets in fragments", ["--fragments", "0.05"]),
]
LIMITS = ["--max-concurrent-connections", "2000", "--memory-limit", "32M"]
WORKLOAD = ["--workload", "api", "--size", "300M", "--concurrency", "500"]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    build, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 5
    with tempfile.TemporaryDirectory(prefix="attack") as folder:
        captures = []
        for number, (name, options) in enumerate(ATTACKS):
            path = os.path.join(folder, f"{number}.pcap")
            subprocess.run([os.path.join(build, "tools/pcapgen/pcapgen"), *WORKLOAD, *options,
                            "--output", path], check=True)
            with open(path + ".expected.json", encoding="utf-8") as file:
                expected = json.load(file)
            command = measure.Command([os.path.join(build, "tcp-sniffer"), *LIMITS,
                                       "--ports", "80", "-r", path])
            found = measure.count(command, os.path.join(folder, "events"))
            captures.append((name, path, expected, command, found))
        times = [[] for _ in captures]
        for _ in range(runs):
            for index, capture in enumerate(captures):
                times[index].append(measure.time_to_null(capture[3]).wall)
        rows = []
        for capture, wall in zip(captures, times):
            name, path, expected, _, found = capture
            seconds = median(wall)
            rows.append((name, expected["packets"] / seconds, expected["messages"] / seconds,
                         expected["messages"], found))
    _, packets, messages_normal, _, _ = rows[0]
    lines = ["# Beside an attack", "",
             f"`bench/attack.py`, medians of {runs} interleaved runs, 2 processors, files in the "
             "page cache, default shards, bodies in the lines;",
             f"`{' '.join(LIMITS)}`.", "",
             "| attack | packets/s | of normal | messages/s of normal | messages found | cut or "
             "incomplete |",
             "|---|---:|---:|---:|---:|---:|"]
    for name, packet_rate, message_rate, messages, found in rows:
        lines.append(f"| {name} | {packet_rate:,.0f} | {packet_rate / packets:.2f} | "
                     f"{message_rate / messages_normal:.2f} | {found.lines:,} of {messages:,} | "
                     f"{found.incomplete:,} |")
    text = "\n".join(lines) + "\n"
    print(text)
    with open(os.path.join(HERE, "results", "attack.md"), "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
