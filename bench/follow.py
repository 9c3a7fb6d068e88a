#!/usr/bin/env python3
"""A rotating tcpdump that is followed, beside nginx, over a cable between two network namespaces:
every exchange of the access log has to be found, and once.

tcpdump begins a new file every few seconds, and within them at every megabyte (-G, -C), so that
messages and packets lie across the borders of files. --document writes the result into docs/live.md,
between <!-- follow:begin --> and <!-- follow:end -->. Needs root, nginx, tcpdump and iproute2. The
exit status is 0 when everything was found and nothing twice, and 77 when something that it needs is
not there.
"""

import argparse
import datetime
import os
import pathlib
import shutil
import subprocess
import sys

import live_lab
import live_load

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent / "docs" / "live.md"
KINDS = {"keepalive": 0.5, "short": 0.3, "pipelined": 0.2}


def missing():
    if os.geteuid() != 0:
        return "root"
    for program in ("nginx", "tcpdump", "ip"):
        if shutil.which(program) is None:
            return program
    return None


def measure(lab, program, seconds, rate, rotate):
    captures = lab.path("captures")
    os.mkdir(captures)
    tcpdump = live_lab.Tcpdump(lab, options=(
        "-U", "-Z", "root", "-G", str(rotate), "-C", "1", "-w",
        os.path.join(captures, "%Y%m%d-%H%M%S.pcap")))
    sniffer = live_lab.Sniffer(lab, program, ["--max-body-size", "0", "--format", "ndjson",
                                              "--stats-interval-ms", "0"],
                               stdout=subprocess.PIPE, source=("--follow", "-r", captures))
    reader = live_load.Reader(sniffer.process.stdout)
    reader.start()
    resident = []
    try:
        results = live_load.run_clients(
            lab, KINDS, rate, seconds,
            lambda _: resident.append(live_load.resident_mib(sniffer.process.pid)))
        reader.wait_for(sum(results.values()))
    finally:
        frames = tcpdump.stop()
        stopped = sniffer.stop()
        lab.stop_server()
    reader.join()
    return results, reader, resident, stopped, sniffer.warnings(), frames


def write_document(text):
    begin, end = "<!-- follow:begin -->", "<!-- follow:end -->"
    document = DOCUMENT.read_text(encoding="utf-8")
    before, after = document.index(begin) + len(begin), document.index(end)
    DOCUMENT.write_text(document[:before] + f"\n{text}\n" + document[after:], encoding="utf-8")


def report(lab, options, results, reader, resident, stopped, warnings, frames):
    seconds = options.seconds
    log = live_load.tally_of_log(lab, results)
    table = live_load.table(log, reader, KINDS)
    print(table)
    for warning in warnings:
        print(warning)
    print(f"\n{seconds:.0f} s, {log.total() / seconds:,.0f} exchanges/s, "
          f"{stopped['follow']['read']} files, {stopped['follow']['bytes'] / 1e6:,.0f} MB, at most "
          f"{max(resident):.1f} MiB resident, {reader.incomplete} incomplete")
    print("tcpdump: {} frames captured, {} lost".format(*frames))
    if not reader.has_found(log) or reader.incomplete != 0:
        print("not every exchange was found once")
        return 1
    print("every exchange was found, once")
    if options.document:
        write_document(
            f"Made {datetime.date.today()}: {seconds:.0f} s, {log.total() / seconds:,.0f} exchanges/s "
            f"({live_lab.processor()}), "
            f"{frames[0]:,} frames in {stopped['follow']['read']} files of "
            f"{stopped['follow']['bytes'] / 1e6:,.0f} MB, {frames[1]} lost by tcpdump, at most "
            f"{max(resident):.1f} MiB resident.\n\n{table}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a finished build folder")
    parser.add_argument("seconds", type=float, nargs="?", default=300)
    parser.add_argument("rate", type=float, nargs="?", default=1000,
                        help="exchanges a second (default: 1000)")
    parser.add_argument("rotate", type=int, nargs="?", default=5,
                        help="seconds after which tcpdump begins a new file (default: 5)")
    parser.add_argument("--document", action="store_true", help="write the result into docs/live.md")
    arguments = parser.parse_args()
    if (what := missing()) is not None:
        print(f"it needs {what}")
        return 1 if os.environ.get("TCP_SNIFFER_FAIL_ON_SKIP") == "1" else 77
    with live_lab.Lab(live_load.NGINX) as lab:
        measured = measure(lab, arguments.build.resolve() / "tcp-sniffer", arguments.seconds,
                           arguments.rate, arguments.rotate)
        return report(lab, arguments, *measured)


if __name__ == "__main__":
    sys.exit(main())
