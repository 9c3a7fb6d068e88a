#!/usr/bin/env python3
"""Pauses: what is lost while the reader of the output stops, and how much memory the lines take.

bench/pauses.py BUILD_DIR [ROUNDS]. Writes bench/results/pauses.md. Needs root, iproute2, nginx.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from statistics import median

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

# pylint: disable=wrong-import-position
import live_lab

CASES = [(1000, 3), (5000, 0.5), (5000, 1), (5000, 3), (5000, 8), (5000, 20)]  # per second, s
BODY = b"x" * 300
CONNECTIONS = 20
RUN_UP = 1  # seconds before the pause, and after it


def send_requests(per_second, seconds):
    """The client, a process of its own: keep-alive connections, one request at a time on each."""
    request = b"GET /small HTTP/1.1\r\nHost: server\r\nUser-Agent: bench\r\n\r\n"
    connections = [socket.create_connection((live_lab.ADDRESS, 80)) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    done = 0
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            received = b""
            while not received.endswith(BODY):
                received += connection.recv(65536)
        done += CONNECTIONS
        early = begin + done / per_second - time.monotonic()
        if early > 0:
            time.sleep(early)
    print(done, done / (time.monotonic() - begin))


class Reader(threading.Thread):
    """Counts lines, and stops when it is told."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self._pipe = pipe
        self._may_read = threading.Event()
        self._may_read.set()
        self.lines = 0
        self.start()

    def run(self):
        while data := os.read(self._pipe.fileno(), 1 << 20):
            self.lines += data.count(b"\n")
            self._may_read.wait()

    def pause(self, seconds):
        self._may_read.clear()
        time.sleep(seconds)
        self._may_read.set()


def memory_mib(process, field):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field}")


def measure(lab, program, per_second, pause):
    """Exchanges a second, frames lost, messages lost, MiB more than before the pause."""
    sniffer = live_lab.Sniffer(lab, program, [], stdout=subprocess.PIPE)
    reader = Reader(sniffer.process.stdout)
    client = subprocess.Popen(
        lab.on_client([sys.executable, __file__, "--client", str(per_second),
                       str(pause + 2 * RUN_UP)]), stdout=subprocess.PIPE, text=True)
    time.sleep(RUN_UP)
    before = memory_mib(sniffer.process, "VmRSS")
    reader.pause(pause)
    exchanges, rate = client.communicate()[0].split()
    grown = memory_mib(sniffer.process, "VmHWM") - before
    ledger = sniffer.stop()
    reader.join()
    frames = ledger["kernel"]["dropped"] + ledger["frames"]["dropped_overload"]
    return float(rate), frames, 2 * int(exchanges) - reader.lines, grown


def main():
    if sys.argv[1:2] == ["--client"]:
        return send_requests(float(sys.argv[2]), float(sys.argv[3]))
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program = os.path.join(os.path.realpath(sys.argv[1]), "tcp-sniffer")
    rounds = int(sys.argv[2]) if len(sys.argv) == 3 else 5
    results = [[] for _ in CASES]
    with live_lab.Lab() as lab:
        lab.serve("small", BODY)
        for _ in range(rounds):
            for result, case in zip(results, CASES):
                result.append(measure(lab, program, *case))
    lines = ["# Pauses of the reader", "",
             f"`bench/pauses.py`: requests with answers of {len(BODY)} bytes on {CONNECTIONS} keep-alive "
             "connections, messages into a pipe whose reader",
             f"stops once; default settings, {rounds} interleaved rounds, client, server and reader "
             "on the same",
             f"{live_lab.processor()}.",
             "Medians, and of the losses the most in brackets. Memory: how much more than before the "
             "pause (resident, at most).",
             "",
             "| exchanges/s | pause | frames lost | messages lost | memory |",
             "|---:|---:|---:|---:|---:|"]
    for (_, pause), result in zip(CASES, results):
        rate, frames, messages, grown = zip(*result)
        lines.append(f"| {median(rate):,.0f} | {pause} s | {median(frames):,.0f} ({max(frames):,}) | "
                     f"{median(messages):,.0f} ({max(messages):,}) | {median(grown):.0f} MiB |")
    text = "\n".join(lines) + "\n"
    print(text)
    with open(os.path.join(HERE, "results", "pauses.md"), "w", encoding="utf-8") as file:
        file.write(text)
    return None


if __name__ == "__main__":
    main()
