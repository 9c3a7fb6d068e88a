#!/usr/bin/env python3
"""Steady load beside nginx, over a cable between two network namespaces: every exchange of the
access log has to be found, and memory has to stay flat.

Five kinds of clients at once: keep-alive, a connection for each exchange, pipelined, uploads and
downloads of 1 MB. Every request has a target of its own. Needs root, nginx and iproute2. The exit
status is 0 when everything was found, nothing was dropped and memory was flat.
"""

import argparse
import collections
import ctypes
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SERVER = "10.78.0.2"
# Of all exchanges: pipelined ones go in groups of eight.
KINDS = {"keepalive": 0.5, "short": 0.25, "pipelined": 0.2, "upload": 0.03, "download": 0.02}
GROUP = 8
UPLOAD = b"u" * 100_000
NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  log_format short '$request_uri $status'; keepalive_requests 1000000000;
  client_max_body_size 10m; client_body_buffer_size 1m;
  server {{ listen 80; root {folder}; access_log {folder}/access.log short buffer=64k;
    location /keepalive {{ return 200 "hello\\n"; }}
    location /short {{ return 200 "hello\\n"; }}
    location /pipelined {{ return 200 "hello\\n"; }}
    location /upload {{ proxy_pass http://127.0.0.1:81; }} }}
  server {{ listen 127.0.0.1:81; access_log off; return 200 "stored\\n"; }}
}}
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def enter(namespace):
    with open(f"/run/netns/{namespace}") as file:
        if ctypes.CDLL(None).setns(file.fileno(), 0x40000000) != 0:
            raise OSError("setns")


class Connection:
    """Sends requests and awaits their answers, whose bodies have a known length."""

    def __init__(self):
        self.socket = socket.create_connection((SERVER, 80))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def ask(self, requests):
        self.socket.sendall(b"".join(requests))
        for _ in requests:
            length = 0
            while (line := self.stream.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if len(self.stream.read(length)) != length:
                raise OSError("an answer ended early")

    def close(self):
        self.stream.close()
        self.socket.close()


def client(namespace, kind, per_second, seconds, result):
    """Runs in a process of its own; puts the number of its exchanges into `result`."""
    enter(namespace)
    number = 0
    connection = None
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if connection is None:
            connection = Connection()
        requests = []
        for _ in range(GROUP if kind == "pipelined" else 1):
            head = f"{'POST' if kind == 'upload' else 'GET'} /{kind}?{number} HTTP/1.1\r\nHost: server\r\n"
            if kind == "upload":
                head += f"Content-Length: {len(UPLOAD)}\r\n"
            if kind == "short":
                head += "Connection: close\r\n"
            requests.append(head.encode() + b"\r\n" + (UPLOAD if kind == "upload" else b""))
            number += 1
        connection.ask(requests)
        if kind == "short":
            connection.close()
            connection = None
        early = begin + number / per_second - time.monotonic()
        if early > 0:
            time.sleep(early)
    result.value = number


class Tally:
    """How many targets of each kind, and two sums that no other set of numbers of that size has
    by accident."""

    def __init__(self):
        self.of = collections.defaultdict(lambda: [0, 0, 0])

    def add(self, kind, number):
        sums = self.of[kind]
        sums[0] += 1
        sums[1] += number
        sums[2] += number * number

    def __eq__(self, other):
        return dict(self.of) == dict(other.of)


TARGET = re.compile(r"/(\w+)\?(\d+)")


class Reader(threading.Thread):
    """Reads the sniffer's lines: whole requests, and whole responses that have one."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream
        self.requests = Tally()
        self.responses = Tally()
        self.incomplete = 0
        self.waiting = {}

    def run(self):
        for line in self.stream:
            message = json.loads(line)
            name = (message["connectionId"], message.get("exchange"))
            if "incomplete" in message:
                self.incomplete += 1
            elif message["direction"] == "request":
                found = TARGET.match(message["path"])
                self.waiting[name] = (found[1], int(found[2]))
                self.requests.add(*self.waiting[name])
            elif message["statusCode"] == 200 and name in self.waiting:
                self.responses.add(*self.waiting.pop(name))


def resident_mib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def processor_seconds(pid):
    """The time that all its threads ran, in the kernel too (proc(5), fields 14 and 15 of stat)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(build, folder, client_name, server_name, seconds, rate):
    (folder / "download").write_bytes(b"d" * 1_000_000)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    inside = ["ip", "netns", "exec", server_name]
    nginx = subprocess.Popen([*inside, "nginx", "-c", folder / "nginx.conf"])
    errors = open(folder / "events", "wb")
    sniffer = subprocess.Popen(
        [*inside, f"{build}/tcp-sniffer", "-i", "right", "-p", "80", "--max-body-size", "0",
         "--stats-interval-ms", "0"], stdout=subprocess.PIPE, stderr=errors)
    try:
        reader = Reader(sniffer.stdout)
        reader.start()
        time.sleep(1)
        results = {kind: multiprocessing.Value("q", 0) for kind in KINDS}
        clients = [multiprocessing.Process(target=client, args=(
            client_name, kind, share * rate, seconds, results[kind]))
            for kind, share in KINDS.items()]
        begin = time.monotonic()
        for process in clients:
            process.start()
        resident = []
        while any(process.is_alive() for process in clients):
            time.sleep(0.5)
            # A tenth of the time is for warming up.
            if time.monotonic() - begin > seconds / 10:
                resident.append(resident_mib(sniffer.pid))
        for process in clients:
            process.join()
        time.sleep(0.5)
        processor = processor_seconds(sniffer.pid)
    finally:
        sniffer.send_signal(signal.SIGTERM)
        nginx.send_signal(signal.SIGQUIT)
        sniffer.wait(60)
        nginx.wait(60)
    reader.join()
    return results, reader, resident, processor


def report(folder, results, reader, resident, processor, seconds):
    log = Tally()
    for line in (folder / "access.log").read_text().splitlines():
        target, status = line.split()
        if status != "200":
            sys.exit(f"nginx answered {line}")
        found = TARGET.match(target)
        log.add(found[1], int(found[2]))
    print("| kind | exchanges in the access log | requests found | with their response |")
    print("|---|---:|---:|---:|")
    for kind in KINDS:
        print(f"| {kind} | {log.of[kind][0]:,} | {reader.requests.of[kind][0]:,} "
              f"| {reader.responses.of[kind][0]:,} |")
        if log.of[kind][0] != results[kind].value:
            sys.exit(f"{kind}: the client had {results[kind].value} exchanges")
    low, high = min(resident), max(resident)
    total = sum(log.of[kind][0] for kind in KINDS)
    print(f"\n{seconds:.0f} s, {total / seconds:,.0f} exchanges/s, {low:.1f} to {high:.1f} MiB "
          f"resident, {reader.incomplete} incomplete, "
          f"{processor / total * 1e6:.1f} µs of processor time an exchange")
    events = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    for event in events:
        if event["level"] in ("warn", "error"):
            print(json.dumps(event))
    stopped = events[-1]
    drops = (stopped["kernel"]["dropped"], stopped["frames"]["dropped_overload"],
             stopped["messages"]["dropped_overload"], stopped["messages"]["discarded"])
    if reader.requests == log and reader.responses == log and not any(drops):
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
    build = arguments.build.resolve()
    seconds = 60 * arguments.minutes
    rate = arguments.rate
    folder = pathlib.Path(tempfile.mkdtemp())
    names = [f"tcpsniff-steady-{os.getpid()}-{side}" for side in ("client", "server")]
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "left", "netns", names[0], "type", "veth", "peer", "name", "right",
           "netns", names[1])
        for name, device, address in ((names[0], "left", "10.78.0.1"), (names[1], "right", SERVER)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
        return report(folder, *measure(build, folder, *names, seconds, rate), seconds)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name])
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
