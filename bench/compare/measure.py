"""Runs one program and measures it: wall time, CPU seconds, peak memory, lines written."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass

PIECE_BYTES = 1 << 20


@dataclass
class Command:
    """What to run. `stdin` is a file to redirect from; `feed` is a file that a second process
    (cat) writes into a pipe instead."""

    arguments: list
    stdin: str | None = None
    feed: bool = False


@dataclass
class Sample:
    wall: float
    cpu: float
    status: int


def _start(command, stdout, stderr=subprocess.DEVNULL):
    feeder = None
    if command.feed:
        feeder = subprocess.Popen(["cat", command.stdin], stdout=subprocess.PIPE)
        source = feeder.stdout
    elif command.stdin:
        source = open(command.stdin, "rb")
    else:
        source = subprocess.DEVNULL
    process = subprocess.Popen(command.arguments, stdin=source, stdout=stdout, stderr=stderr)
    if source != subprocess.DEVNULL:
        source.close()
    return process, feeder


def _wait(process, feeder):
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if feeder:
        feeder.wait()
    return process.returncode, usage.ru_utime + usage.ru_stime


def time_to_null(command):
    """Output to /dev/null."""
    begin = time.perf_counter()
    process, feeder = _start(command, subprocess.DEVNULL)
    status, cpu = _wait(process, feeder)
    return Sample(time.perf_counter() - begin, cpu, status)


def time_to_pipe(command):
    """Output through a pipe to a reader that takes up to 1 MiB at a time."""
    buffer = bytearray(PIECE_BYTES)
    begin = time.perf_counter()
    process, feeder = _start(command, subprocess.PIPE)
    descriptor = process.stdout.fileno()
    while os.readv(descriptor, [buffer]) > 0:
        pass
    status, cpu = _wait(process, feeder)
    wall = time.perf_counter() - begin
    process.stdout.close()
    return Sample(wall, cpu, status)


@dataclass
class Count:
    lines: int
    incomplete: int
    peak_bytes: int
    status: int
    last_error_line: str


def _watch_memory(pid, peak, stop):
    # The peak the kernel hands to wait4 begins with that of the parent, so a small program would
    # be given the size of this interpreter; its own high-water mark is read while it runs.
    while not stop.is_set():
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("VmHWM:"):
                        peak[0] = max(peak[0], int(line.split()[1]) * 1024)
        except OSError:
            return
        stop.wait(0.005)


def count(command, scratch):
    """An untimed run that counts lines and watches memory. Talk goes into the file `scratch`."""
    with open(scratch, "wb") as errors:
        process, feeder = _start(command, subprocess.PIPE, errors)
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=_watch_memory, args=(process.pid, peak, stop))
    watcher.start()
    lines = incomplete = 0
    marker, rest = b'"incomplete":"', b""
    while True:
        piece = process.stdout.read(PIECE_BYTES)
        if not piece:
            break
        lines += piece.count(b"\n")
        incomplete += (rest + piece).count(marker)
        rest = piece[-(len(marker) - 1):]
    # The watcher must not read the status of a process that has been waited for.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    stop.set()
    watcher.join()
    status, _ = _wait(process, feeder)
    process.stdout.close()
    with open(scratch, "rb") as errors:
        talk = errors.read().decode("utf-8", "replace").strip().splitlines()
    return Count(lines, incomplete, peak[0], status, talk[-1] if talk else "")


def warm(path):
    """Brings a file into the page cache."""
    buffer = bytearray(PIECE_BYTES)
    descriptor = os.open(path, os.O_RDONLY)
    while os.readv(descriptor, [buffer]) > 0:
        pass
    os.close(descriptor)
