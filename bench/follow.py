#!/usr/bin/env python3
"""A rotating tcpdump that is followed, beside nginx, over a cable between two network namespaces:
every exchange of the access log has to be found, and once.

tcpdump begins a new file every few seconds, and within them at every megabyte (-G, -C), so that
messages and packets lie across the borders of files. Needs root, nginx, tcpdump and iproute2. The
exit status is 0 when everything was found and nothing twice, and 77 when something that it needs is
not there.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import steady

KINDS = {"keepalive": 0.5, "short": 0.3, "pipelined": 0.2}


def missing():
    if os.geteuid() != 0:
        return "root"
    for program in ("nginx", "tcpdump", "ip"):
        if shutil.which(program) is None:
            return program
    return None


def measure(build, folder, client_name, server_name, seconds, rate, rotate):
    (folder / "nginx.conf").write_text(steady.NGINX.format(folder=folder))
    captures = folder / "captures"
    captures.mkdir()
    inside = ["ip", "netns", "exec", server_name]
    nginx = subprocess.Popen([*inside, "nginx", "-c", folder / "nginx.conf"])
    tcpdump = subprocess.Popen(
        [*inside, "tcpdump", "-i", "right", "-U", "-B", "65536", "-Z", "root", "-G", str(rotate),
         "-C", "1", "-w", captures / "%Y%m%d-%H%M%S.pcap", "tcp port 80"],
        stderr=open(folder / "tcpdump", "wb"))
    sniffer = subprocess.Popen(
        [f"{build}/tcp-sniffer", "--follow", "-r", captures, "--max-body-size", "0", "--format",
         "ndjson", "--stats-interval-ms", "0"],
        stdout=subprocess.PIPE, stderr=open(folder / "events", "wb"))
    try:
        reader = steady.Reader(sniffer.stdout)
        reader.start()
        time.sleep(1)
        results = {kind: multiprocessing.Value("q", 0) for kind in KINDS}
        clients = [multiprocessing.Process(target=steady.client, args=(
            client_name, kind, share * rate, seconds, results[kind]))
            for kind, share in KINDS.items()]
        for process in clients:
            process.start()
        resident = 0
        while any(process.is_alive() for process in clients):
            time.sleep(0.2)
            resident = max(resident, steady.resident_mib(sniffer.pid))
        for process in clients:
            process.join()
        # The kernel hands tcpdump what it has kept when a second has passed.
        time.sleep(3)
        tcpdump.send_signal(signal.SIGTERM)
        tcpdump.wait(60)
    finally:
        tcpdump.kill()
        sniffer.send_signal(signal.SIGTERM)
        nginx.send_signal(signal.SIGQUIT)
        sniffer.wait(60)
        nginx.wait(60)
    reader.join()
    return results, reader, resident


def report(folder, results, reader, resident, seconds):
    log = steady.Tally()
    for line in (folder / "access.log").read_text().splitlines():
        found = steady.TARGET.match(line.split()[0])
        log.add(found[1], int(found[2]))
    print("| kind | exchanges in the access log | requests found | with their response |")
    print("|---|---:|---:|---:|")
    for kind in KINDS:
        print(f"| {kind} | {log.of[kind][0]:,} | {reader.requests.of[kind][0]:,} "
              f"| {reader.responses.of[kind][0]:,} |")
        if log.of[kind][0] != results[kind].value:
            sys.exit(f"{kind}: the clients had {results[kind].value} exchanges")
    events = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    for event in events:
        if event["level"] in ("warn", "error"):
            print(json.dumps(event))
    stopped = events[-1]
    total = sum(log.of[kind][0] for kind in KINDS)
    print(f"\n{seconds:.0f} s, {total / seconds:,.0f} exchanges/s, {stopped['follow']['read']} "
          f"files, {stopped['follow']['bytes'] / 1e6:,.0f} MB, at most {resident:.1f} MiB resident, "
          f"{reader.incomplete} incomplete")
    print((folder / "tcpdump").read_text().strip().splitlines()[-1])
    if reader.requests == log and reader.responses == log and reader.incomplete == 0:
        print("every exchange was found, once")
        return 0
    print("not every exchange was found once")
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a finished build folder")
    parser.add_argument("seconds", type=float, nargs="?", default=300)
    parser.add_argument("rate", type=float, nargs="?", default=1000,
                        help="exchanges a second (default: 1000)")
    parser.add_argument("rotate", type=int, nargs="?", default=5,
                        help="seconds after which tcpdump begins a new file (default: 5)")
    arguments = parser.parse_args()
    if (what := missing()) is not None:
        print(f"it needs {what}")
        return 1 if os.environ.get("TCP_SNIFFER_FAIL_ON_SKIP") == "1" else 77
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    names = [f"tcpsniff-follow-{os.getpid()}-{side}" for side in ("client", "server")]
    try:
        for name in names:
            steady.ip("netns", "add", name)
            steady.ip("-n", name, "link", "set", "lo", "up")
        steady.ip("link", "add", "left", "netns", names[0], "type", "veth", "peer", "name",
                  "right", "netns", names[1])
        for name, device, address in ((names[0], "left", "10.78.0.1"),
                                      (names[1], "right", steady.SERVER)):
            steady.ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            steady.ip("-n", name, "link", "set", device, "up")
        results, reader, resident = measure(arguments.build.resolve(), folder, *names,
                                            arguments.seconds, arguments.rate, arguments.rotate)
        return report(folder, results, reader, resident, arguments.seconds)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
