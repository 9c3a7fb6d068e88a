#!/usr/bin/env python3
"""What the forms of output cost: full lines, exchanges, selected fields, tables, conditions.

Makes a capture of `api` traffic, warms the page cache, and runs each form in interleaved rounds, to
/dev/null and through a pipe to a reader of 1 MiB pieces:
bench/cost.py BUILD_DIR [--size 1G] [--runs 5] [--directory DIR] [--no-results]. Writes
bench/results/cost.md and the table of docs/performance.md between <!-- cost:begin --> and
<!-- cost:end -->.
"""

import argparse
import datetime
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from statistics import median

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "compare"))

# pylint: disable=wrong-import-position
import measure

ROOT = os.path.dirname(HERE)
EIGHT = "timestamp,connectionId,exchange,method,host,path,status,latencyMs"
# (name, flags); a form whose flag the program does not know is left out.
FORMS = [
    ("full lines, bodies", []),
    ("full lines", ["--max-body-size", "0"]),
    ("exchanges", ["--max-body-size", "0", "--records", "exchange"]),
    ("full lines, all of them where not status >= 500",
     ["--max-body-size", "0", "--where", "not status >= 500"]),
    ("full lines where status >= 500", ["--max-body-size", "0", "--where", "status >= 500"]),
    ("packed", ["--max-body-size", "0", "--format", "packed"]),
    ("eight fields", ["--max-body-size", "0", "--select", EIGHT]),
    ("eight fields, exchanges",
     ["--max-body-size", "0", "--select", EIGHT, "--records", "exchange"]),
    ("eight fields, tsv", ["--max-body-size", "0", "--select", EIGHT, "--format", "tsv"]),
    ("eight fields, csv", ["--max-body-size", "0", "--select", EIGHT, "--format", "csv"]),
    ("eight fields, exchanges, tsv",
     ["--max-body-size", "0", "--select", EIGHT, "--records", "exchange", "--format", "tsv"]),
]
YARDSTICK = "full lines"  # what the ratios are of


@dataclass
class Form:
    name: str
    flags: list
    to_null: list = field(default_factory=list)
    to_pipe: list = field(default_factory=list)
    lines: int = 0
    size: int = 0

    @property
    def counts_lines(self):
        return "packed" not in self.flags  # its records end where their sizes say


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("build", help="a finished build folder with tcp-sniffer and pcapgen")
    parser.add_argument("--size", default="1G", help="of the capture (default: 1G)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each (default: 5)")
    parser.add_argument("--directory", help="where the capture goes (default: a temporary folder)")
    parser.add_argument("--shards", default="default", help="(default: the program's own)")
    parser.add_argument("--no-results", action="store_true", help="print, but write no file")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error(f"--runs: '{arguments.runs}' is not at least 1")
    return arguments


def known_forms(program, capture):
    """Those whose flags the program takes."""
    forms = []
    for name, flags in FORMS:
        # --check says the same about the keys without reading anything.
        check = subprocess.run([program, "-r", capture, "--check", *flags], check=False,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if check.returncode == 0:
            forms.append(Form(name, flags))
        else:
            print(f"left out, because its flags are not known: {name}")
    return forms


def count(command, form):
    """An untimed run that counts what comes out."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while piece := process.stdout.read(measure.PIECE_BYTES):
        if form.counts_lines:
            form.lines += piece.count(b"\n")
        form.size += len(piece)
    if process.wait() != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")


def run_rounds(forms, command_of, runs):
    for number in range(runs):
        shuffled = list(forms)
        random.Random(number).shuffle(shuffled)
        for form in shuffled:
            for samples, run in ((form.to_null, measure.time_to_null),
                                 (form.to_pipe, measure.time_to_pipe)):
                sample = run(measure.Command(command_of(form)))
                if sample.status != 0:
                    sys.exit(f"{' '.join(command_of(form))} ended with {sample.status}")
                samples.append(sample)
        print(f"    round {number + 1} of {runs}", flush=True)


def seconds(samples):
    return median(sample.wall for sample in samples)


def cpu(samples):
    return median(sample.cpu for sample in samples)


def table(forms):
    yardstick = next(form for form in forms if form.name == YARDSTICK)
    rows = ["| form | lines | MB | to /dev/null, s | CPU s | as fast | through a pipe, s | CPU s | as fast |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for form in forms:
        null_ratio = seconds(yardstick.to_null) / seconds(form.to_null)
        pipe_ratio = seconds(yardstick.to_pipe) / seconds(form.to_pipe)
        lines = f"{form.lines:,}" if form.counts_lines else "–"
        rows.append(
            f"| {form.name} | {lines} | {form.size / 1e6:,.0f} | "
            f"{seconds(form.to_null):.3f} | {cpu(form.to_null):.2f} | {null_ratio:.2f} | "
            f"{seconds(form.to_pipe):.3f} | {cpu(form.to_pipe):.2f} | {pipe_ratio:.2f} |")
    return "\n".join(rows)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_results(text):
    write(os.path.join(HERE, "results", "cost.md"), "# What the forms of output cost\n\n" + text)
    path = os.path.join(ROOT, "docs", "performance.md")
    with open(path, encoding="utf-8") as file:
        document = file.read()
    begin, end = "<!-- cost:begin -->\n", "<!-- cost:end -->"
    if begin not in document or end not in document:
        sys.exit(f"{path} has no place for the table: {begin.strip()} … {end}")
    head, rest = document.split(begin, 1)
    write(path, head + begin + text + end + rest.split(end, 1)[1])


def main():
    arguments = parse()
    build = os.path.abspath(arguments.build)
    program = os.path.join(build, "tcp-sniffer")
    pcapgen = os.path.join(build, "tools", "pcapgen", "pcapgen")
    for path in (program, pcapgen):
        if not os.access(path, os.X_OK):
            sys.exit(f"{path} is not built")
    if arguments.directory:
        os.makedirs(arguments.directory, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="cost-", dir=arguments.directory)
    try:
        capture = os.path.join(scratch, "api.pcap")
        subprocess.run([pcapgen, "--workload=api", f"--size={arguments.size}", "--seed=1",
                        f"--output={capture}"], check=True)
        measure.warm(capture)
        shards = [] if arguments.shards == "default" else ["--shards", arguments.shards]
        forms = known_forms(program, capture)
        command_of = lambda form: [program, "-r", capture, *form.flags, *shards]
        for form in forms:
            count(command_of(form), form)
        run_rounds(forms, command_of, arguments.runs)
        size = os.path.getsize(capture) / 2**30
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    text = (f"Measured {datetime.date.today().isoformat()} with `bench/cost.py` on `api` "
            f"({size:.2f} GiB; {version.stdout.splitlines()[0]}), medians of {arguments.runs} interleaved "
            f"runs, {len(os.sched_getaffinity(0))} CPUs. \"As fast\" is the speed relative to "
            f"{YARDSTICK}; without \"bodies\" a form has `--max-body-size 0`. The eight fields are "
            f"`{EIGHT}`.\n\n{table(forms)}\n")
    print(text)
    if not arguments.no_results:
        write_results(text)
        print("bench/results/cost.md and docs/performance.md written")


if __name__ == "__main__":
    main()
