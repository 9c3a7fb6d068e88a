"""Clients of the live lab's nginx whose exchanges have numbers, and what finds them again.

For the benchmarks that ask whether every exchange was found, once. Five kinds of clients:
keep-alive, a connection for each exchange, pipelined, uploads and downloads of 1 MB.
"""

import collections
import ctypes
import json
import multiprocessing
import os
import pathlib
import re
import socket
import sys
import threading
import time

import live_lab

GROUP = 8  # pipelined requests at once
UPLOAD = b"u" * 100_000
DOWNLOAD = b"d" * 1_000_000
NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  log_format short '$request_uri $status'; keepalive_requests 1000000000;
  client_max_body_size 10m; client_body_buffer_size 1m;
  server {{ listen 80; root {folder}/files; access_log {folder}/access.log short buffer=64k;
    location /keepalive {{ return 200 "hello\\n"; }}
    location /short {{ return 200 "hello\\n"; }}
    location /pipelined {{ return 200 "hello\\n"; }}
    location /upload {{ proxy_pass http://127.0.0.1:81; }} }}
  server {{ listen 127.0.0.1:81; access_log off; return 200 "stored\\n"; }}
}}
"""
TARGET = re.compile(r"/(\w+)\?(\d+)")


def enter(namespace):
    with open(f"/run/netns/{namespace}", encoding="utf-8") as file:
        if ctypes.CDLL(None).setns(file.fileno(), 0x40000000) != 0:
            raise OSError("setns")


class Connection:
    """Sends requests and awaits their answers, whose bodies have a known length."""

    def __init__(self):
        self.socket = socket.create_connection((live_lab.ADDRESS, 80))
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
            head = (f"{'POST' if kind == 'upload' else 'GET'} /{kind}?{number} HTTP/1.1\r\n"
                    "Host: server\r\n")
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


def run_clients(lab, kinds, rate, seconds, look):
    """One client for each kind, with its share of the rate. Calls `look` meanwhile, with the
    seconds since the beginning. Returns how many exchanges each kind had."""
    results = {kind: multiprocessing.Value("q", 0) for kind in kinds}
    clients = [multiprocessing.Process(
        target=client, args=(lab.client, kind, share * rate, seconds, results[kind]))
               for kind, share in kinds.items()]
    begin = time.monotonic()
    for process in clients:
        process.start()
    while any(process.is_alive() for process in clients):
        time.sleep(0.2)
        look(time.monotonic() - begin)
    for process in clients:
        process.join()
    return {kind: result.value for kind, result in results.items()}


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

    def total(self):
        return sum(sums[0] for sums in list(self.of.values()))

    def __eq__(self, other):
        return dict(self.of) == dict(other.of)


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

    def wait_for(self, responses, seconds=10):
        """Until so many are found, or for as long as a capture may keep the last ones back."""
        end = time.monotonic() + seconds
        while self.responses.total() < responses and time.monotonic() < end:
            time.sleep(0.01)

    def has_found(self, log):
        return self.requests == log and self.responses == log


def tally_of_log(lab, results):
    """What the access log has, after nginx has ended; the clients' own count has to be the same."""
    log = Tally()
    for line in pathlib.Path(lab.path("access.log")).read_text(encoding="utf-8").splitlines():
        target, status = line.split()
        if status != "200":
            sys.exit(f"nginx answered {line}")
        found = TARGET.match(target)
        log.add(found[1], int(found[2]))
    for kind, exchanges in results.items():
        if log.of[kind][0] != exchanges:
            sys.exit(f"{kind}: the clients had {exchanges} exchanges, the log {log.of[kind][0]}")
    return log


def table(log, reader, kinds):
    """What became of the exchanges of the access log, by kind."""
    rows = ["| kind | exchanges in the access log | requests found | with their response |",
            "|---|---:|---:|---:|"]
    for kind in kinds:
        rows.append(f"| {kind} | {log.of[kind][0]:,} | {reader.requests.of[kind][0]:,} "
                    f"| {reader.responses.of[kind][0]:,} |")
    return "\n".join(rows)


def resident_mib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def processor_seconds(pid):
    """The time that all its threads ran, in the kernel too (proc(5), fields 14 and 15 of stat)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
