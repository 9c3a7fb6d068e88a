#!/usr/bin/env python3
"""What carries the engine's output to a reader best: pipe, named pipe, socket pair, shared memory.

bench/transport.py BUILD_DIR [--size 500M] [--runs 5] [--directory DIR] [--no-results]: for each
workload and form of output the engine writes to /dev/null and through each transport to a reader of
1 MiB pieces; then a program that does nothing else writes the same bytes from memory, also into a
ring in shared memory; then Node reads them in each of its ways. All are interleaved. Writes
bench/results/transport.md.
"""

import argparse
import datetime
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from statistics import median

HERE = os.path.dirname(os.path.abspath(__file__))
FORMS = [("NDJSON, headers", ["--max-body-size", "0"]), ("NDJSON, bodies", []),
         ("packed, headers", ["--format", "packed", "--max-body-size", "0"]),
         ("packed, bodies", ["--format", "packed"])]
LARGE_PIPE_BYTES = 8 << 20  # what `transport` asks for; above pipe-max-size, it needs CAP_SYS_RESOURCE


def large_pipe_allowed():
    ends = os.pipe()
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, LARGE_PIPE_BYTES)
        return True
    except OSError:
        return False
    finally:
        for end in ends:
            os.close(end)


KINDS = ["null", "pipe", *(["pipe-large"] if large_pipe_allowed() else []), "pipe-small", "fifo", "socket"]
NODE_WAYS = ["stream", "onread", "read", "readSync"]
BLOCK_BYTES = 256 << 10  # what the engine writes at once


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("build", help="a finished build folder with tcp-sniffer and pcapgen")
    parser.add_argument("--size", default="500M", help="of each capture (default: 500M)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--workloads", default="api,short,bulk")
    parser.add_argument("--directory", help="where captures go (default: a temporary folder)")
    parser.add_argument("--engine-only", action="store_true", help="only the engine's rows")
    parser.add_argument("--no-results", action="store_true", help="print, but write no file")
    return parser.parse_args()


def run(command):
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True, check=False)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return json.loads(process.stdout)


class Workload:
    """One capture in one form: (name of the row) -> samples."""

    def __init__(self, name, engine, probe, scratch):
        self.name = name
        self.engine = engine
        self.samples = defaultdict(list)
        recorded = os.path.join(scratch, "recorded")
        with open(recorded, "wb") as file:
            subprocess.run(engine, stdout=file, stderr=subprocess.DEVNULL, check=True)
        self.bytes = os.path.getsize(recorded)
        # The programs that write need no more than the begin of it.
        self.recorded = f"{recorded}.{name.replace(' ', '').replace(',', '.')}"
        with open(recorded, "rb") as file, open(self.recorded, "wb") as begin:
            begin.write(file.read(8 << 20))
        os.remove(recorded)
        self.loop = [probe, "write", self.recorded, str(self.bytes), str(BLOCK_BYTES)]

    def rows(self, probe, node, engine_only):
        for kind in KINDS:
            yield f"engine {kind}", [probe, "drain", kind, *self.engine]
        if engine_only:
            return
        for kind in KINDS:
            yield f"loop {kind}", [probe, "drain", kind, *self.loop]
        yield "loop ring", [probe, "ring", self.recorded, str(self.bytes)]
        for way in NODE_WAYS if node else []:
            reader = os.path.join(HERE, "transport_reader.mjs")
            yield f"node {way}", [node, reader, way, *self.loop]

    def wall(self, row):
        return median(sample["wall"] for sample in self.samples[row])

    def cpu(self, row):
        return median(sample.get("writerCpu", 0) + sample["readerCpu"]
                      for sample in self.samples[row])

    def gigabytes(self, row):
        return self.bytes / 1e9 / self.wall(row)


def header(columns):
    return ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]


def tables(workloads, node, engine_only):
    cores = len(os.sched_getaffinity(0))
    text = ["The engine, speed relative to `/dev/null`. \"Bound\": the pipe's if its two ends cost what "
            "they cost a program that only writes, and nothing ever waits.", ""]
    bound = [] if engine_only else ["bound, pipe"]
    text += header(["output", "MB", "/dev/null, s", *KINDS[1:], *bound])
    for one in workloads:
        null = one.wall("engine null")
        row = [one.name, f"{one.bytes / 1e6:,.0f}", f"{null:.3f}"]
        row += [f"{null / one.wall(f'engine {kind}'):.2f}" for kind in KINDS[1:]]
        if not engine_only:
            best = (one.cpu("engine null") + one.cpu("loop pipe")) / cores
            row.append(f"{null / max(best, null):.2f}")
        text.append("| " + " | ".join(row) + " |")
    if engine_only:
        return "\n".join(text)
    kinds = [*KINDS[1:], "ring"]
    text += ["", "The same bytes from a program that only writes, in blocks of 256 KiB: GB/s, and "
             "processor seconds per GB of both ends.", ""]
    text += header(["output", *kinds])
    for one in workloads:
        cells = [f"{one.gigabytes(f'loop {kind}'):.2f} ({one.cpu(f'loop {kind}') / one.bytes * 1e9:.2f})"
                 for kind in kinds]
        text.append("| " + " | ".join([one.name, *cells]) + " |")
    if node:
        text += ["", "The same, read by Node: GB/s, and processor seconds per GB of Node alone.", ""]
        text += header(["output", *NODE_WAYS])
        for one in workloads:
            cells = [f"{one.gigabytes(f'node {way}'):.2f} ({one.cpu(f'node {way}') / one.bytes * 1e9:.2f})"
                     for way in NODE_WAYS]
            text.append("| " + " | ".join([one.name, *cells]) + " |")
    return "\n".join(text)


def main():
    arguments = parse()
    build = os.path.abspath(arguments.build)
    engine, probe, pcapgen = (os.path.join(build, path) for path in
                              ("tcp-sniffer", "bench/transport", "tools/pcapgen/pcapgen"))
    for path in (engine, probe, pcapgen):
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is not built")
    node = shutil.which("node")
    scratch = tempfile.mkdtemp(prefix="transport-", dir=arguments.directory)
    try:
        workloads = []
        for name in arguments.workloads.split(","):
            capture = os.path.join(scratch, f"{name}.pcap")
            subprocess.run([pcapgen, f"--workload={name}", f"--size={arguments.size}", "--seed=1",
                            f"--output={capture}"], check=True, stdout=subprocess.DEVNULL)
            for form, flags in FORMS:
                command = [engine, "-r", capture, *flags]
                workloads.append(Workload(f"{name}, {form}", command, probe, scratch))
        for number in range(arguments.runs):
            for one in workloads:
                for row, command in one.rows(probe, node, arguments.engine_only):
                    one.samples[row].append(run(command))
            print(f"    round {number + 1} of {arguments.runs}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    version = subprocess.run([engine, "--version"], capture_output=True, text=True, check=True)
    text = (f"Measured {datetime.date.today().isoformat()} with `bench/transport.py` "
            f"({version.stdout.splitlines()[0]}), captures of {arguments.size}, medians of "
            f"{arguments.runs} interleaved runs, {len(os.sched_getaffinity(0))} CPUs.\n\n"
            f"{tables(workloads, node, arguments.engine_only)}\n")
    print(text)
    if not arguments.no_results and not arguments.engine_only:
        path = os.path.join(HERE, "results", "transport.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# What carries the output to a reader\n\n" + text)


if __name__ == "__main__":
    main()
