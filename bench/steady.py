#!/usr/bin/env python3
"""Steady load beside nginx, over a cable between two network namespaces: every exchange of the
access log has to be found, and memory has to stay flat.

Five kinds of clients at once: keep-alive, a connection for each exchange, pipelined, uploads and
downloads of 1 MB. Every request has a target of its own. Needs root, nginx and iproute2. The exit
status is 0 when everything was found, nothing was dropped and memory was flat.
"""

import argparse
import pathlib
import subprocess
import sys

import live_lab
import live_load

# Of all exchanges.
KINDS = {"keepalive": 0.5, "short": 0.25, "pipelined": 0.2, "upload": 0.03, "download": 0.02}


def measure(lab, program, seconds, rate):
    sniffer = live_lab.Sniffer(lab, program, ["--max-body-size", "0", "--stats-interval-ms", "0"],
                               stdout=subprocess.PIPE)
    reader = live_load.Reader(sniffer.process.stdout)
    reader.start()
    resident = []

    def look(elapsed):
        # A tenth of the time is for warming up.
        if elapsed > seconds / 10:
            resident.append(live_load.resident_mib(sniffer.process.pid))

    try:
        results = live_load.run_clients(lab, KINDS, rate, seconds, look)
        reader.wait_for(sum(results.values()))
        processor = live_load.processor_seconds(sniffer.process.pid)
    finally:
        stopped = sniffer.stop()
        lab.stop_server()
    reader.join()
    return results, reader, resident, processor, stopped, sniffer.warnings()


def report(lab, seconds, results, reader, resident, processor, stopped, warnings):
    log = live_load.tally_of_log(lab, results)
    print(live_load.table(log, reader, KINDS))
    low, high = min(resident), max(resident)
    print(f"\n{seconds:.0f} s, {log.total() / seconds:,.0f} exchanges/s, {low:.1f} to {high:.1f} MiB "
          f"resident, {reader.incomplete} incomplete, "
          f"{processor / log.total() * 1e6:.1f} µs of processor time an exchange")
    for warning in warnings:
        print(warning)
    drops = (stopped["kernel"]["dropped"], stopped["frames"]["dropped_overload"],
             stopped["messages"]["dropped_overload"], stopped["messages"]["discarded"])
    if reader.has_found(log) and not any(drops):
        if high <= low * 1.05:
            print("every exchange was found, and memory was flat")
            return 0
        print("memory was not flat")
    else:
        print(f"not every exchange was found; dropped: {drops}")
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a finished build folder")
    parser.add_argument("minutes", type=float, nargs="?", default=10)
    parser.add_argument("rate", type=float, nargs="?", default=2000,
                        help="exchanges a second (default: 2000)")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    with live_lab.Lab(live_load.NGINX) as lab:
        lab.serve("download", live_load.DOWNLOAD)
        return report(lab, seconds, *measure(lab, arguments.build.resolve() / "tcp-sniffer",
                                             seconds, arguments.rate))


if __name__ == "__main__":
    sys.exit(main())
