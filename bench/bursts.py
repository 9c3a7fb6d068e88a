#!/usr/bin/env python3
"""Bursts: four downloads of 110 MB at once, on a machine that also runs their client and server.

How much of it each reader loses, all with a capture buffer of 64 MiB, in interleaved rounds:
bench/bursts.py BUILD_DIR [ROUNDS [PROGRAM …]]. Writes bench/results/bursts.md; with further programs
(older builds), prints only. Needs root, iproute2, ethtool, nginx, curl, tcpdump, util-linux.
"""

import os
import subprocess
import sys
import time
from statistics import median

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

# pylint: disable=wrong-import-position
import live_lab

DOWNLOADS = 4
SIZE = 110_000_000
# As with `setcap cap_net_raw+ep`: the capture thread may not raise its priority.
UNPRIVILEGED = ["setpriv", "--bounding-set", "-sys_nice,-sys_resource"]
RAISED = ["nice", "-n", "-10"]


def download(lab):
    """Seconds that the burst took."""
    begin = time.monotonic()
    command = lab.on_client(["curl", "-s", "-o", "/dev/null", f"http://{live_lab.ADDRESS}/large"])
    clients = [subprocess.Popen(command) for _ in range(DOWNLOADS)]
    for client in clients:
        if client.wait() != 0:
            sys.exit("a download failed")
    return time.monotonic() - begin


def settle():
    """The reader catches up with what waits in the kernel's buffer; no measured time."""
    time.sleep(0.5)


def run_tcpdump(lab, prefix):
    reader = live_lab.Tcpdump(lab, prefix)
    seconds = download(lab)
    settle()
    captured, dropped = reader.stop()
    return dropped / max(captured + dropped, 1), seconds, None


def run_sniffer(lab, program, options, prefix):
    reader = live_lab.Sniffer(lab, program, ["--max-body-size", "0", *options], prefix=prefix)
    seconds = download(lab)
    settle()
    ledger = reader.stop()
    dropped = ledger["kernel"]["dropped"] + ledger["frames"]["dropped_overload"]
    frames = ledger["kernel"]["dropped"] + ledger["frames"]["received"]
    return dropped / max(frames, 1), seconds, ledger["messages"]["written"]


def readers_of(program, others):
    """(name, function of a lab) for each."""
    sniffer = lambda path, options, prefix: lambda lab: run_sniffer(lab, path, options, prefix)
    tcpdump = lambda prefix: lambda lab: run_tcpdump(lab, prefix)
    readers = [
        ("tcpdump -w /dev/null", tcpdump(())),
        ("tcp-sniffer", sniffer(program, [], ())),
        ("tcp-sniffer --shards 0", sniffer(program, ["--shards", "0"], ())),
        ("without the right to a priority: tcp-sniffer", sniffer(program, [], UNPRIVILEGED)),
        ("without the right to a priority: tcp-sniffer --shards 0",
         sniffer(program, ["--shards", "0"], UNPRIVILEGED)),
        ("all at nice -10: tcpdump -w /dev/null", tcpdump(RAISED)),
        ("all at nice -10: tcp-sniffer", sniffer(program, [], RAISED)),
    ]
    for other in others:
        readers.append((f"without the right to a priority: {other}",
                        sniffer(other, [], UNPRIVILEGED)))
    return readers


def table(lab, readers, rounds):
    results = [[] for _ in readers]
    for _ in range(rounds):
        for result, (_, run) in zip(results, readers):
            result.append(run(lab))
    seconds = median(seconds for result in results for _, seconds, _ in result)
    lines = [f"A burst takes {seconds:.2f} s (median).", "",
             "| reader | lost, median | least | most | rounds without loss | messages |",
             "|---|---:|---:|---:|---:|---:|"]
    for (name, _), result in zip(readers, results):
        lost = [share for share, _, _ in result]
        written = [messages for _, _, messages in result]
        messages = "–" if written[0] is None else f"{median(written):.0f} of {2 * DOWNLOADS}"
        lines.append(f"| {name} | {100 * median(lost):.1f} % | {100 * min(lost):.1f} % | "
                     f"{100 * max(lost):.1f} % | {lost.count(0)} of {rounds} | {messages} |")
    return lines


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.join(os.path.realpath(sys.argv[1]), "tcp-sniffer")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    others = sys.argv[3:]
    readers = readers_of(program, others)
    lines = ["# Bursts", "",
             f"`bench/bursts.py`: {DOWNLOADS} downloads of {SIZE // 1_000_000} MB at once over a veth "
             "pair, with client, server and reader on the same",
             f"{live_lab.processor()}.",
             f"`maxBodySize: 0`, a capture buffer of {live_lab.BUFFER_MIB} MiB, {rounds} interleaved "
             "rounds. Lost: frames, of all that passed the kernel's filter.",
             "", "## Frames of 64 KiB (segmentation offload, the default of veth)", ""]
    with live_lab.Lab() as lab:
        lab.serve("large", os.urandom(1 << 20) * (SIZE >> 20) + bytes(SIZE & ((1 << 20) - 1)))
        download(lab)  # the file is in the page cache from here on
        lines += table(lab, readers, rounds)
        lines += ["", "## Frames of 1,500 bytes (`ethtool -K … tso off gso off gro off`)", ""]
        lab.switch_offloads_off()
        lines += table(lab, readers, rounds)
    text = "\n".join(lines) + "\n"
    print(text)
    if not others:
        with open(os.path.join(HERE, "results", "bursts.md"), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
