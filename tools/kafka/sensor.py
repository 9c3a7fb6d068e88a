"""A run of tcp-sniffer that gets a capture through its standard input, as slowly as wanted."""

import json
import os
import subprocess
import threading
import time

PIECE = 64 * 1024
TAIL_SECONDS = 60  # at every moment the rest of the capture would take so long at the same speed
END_SECONDS_MAX = 240
STATS_INTERVAL_MS = 100


class Sensor:
    """Runs until `wait` or `stop`. The capture comes the more slowly the less of it is left, so it
    lasts until `hurry`."""

    def __init__(self, program, capture, flags):
        self.capture = capture
        self.events = []
        self.ledger = {}  # the latest
        self._hurry = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self.process = subprocess.Popen(
            [program, "-r", "-", "--format", "ndjson", "--log-format", "json",
             "--stats-interval-ms", str(STATS_INTERVAL_MS), *flags],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    def _feed(self):
        out = self.process.stdin.fileno()
        left = os.path.getsize(self.capture)
        try:
            with open(self.capture, "rb") as file:
                while piece := file.read(PIECE):
                    self._go.wait()
                    view = memoryview(piece)
                    while view:
                        view = view[os.write(out, view):]
                    self._hurry.wait(min(1, TAIL_SECONDS * len(piece) / left))
                    left -= len(piece)
        except BrokenPipeError:
            pass  # it ended early; its exit code says so
        self.process.stdin.close()

    def _listen(self):
        for line in self.process.stderr:
            try:
                event = json.loads(line)
            except ValueError:  # not an event: a crash, for instance
                event = {"event": "talk", "message": line.decode(errors="replace")}
            if event["event"] in ("stats", "stopped"):
                self.ledger = event
            if event["event"] != "stats":
                self.events.append(event)

    def count(self, group, name):
        return self.ledger.get(group, {}).get(name, 0)

    def hurry(self):
        """The rest of the capture comes at once."""
        self._go.set()
        self._hurry.set()

    def pause(self):
        self._go.clear()

    def go_on(self):
        self._go.set()

    def wait(self, seconds=END_SECONDS_MAX):
        """The ledger at the end, after the whole capture."""
        self.hurry()
        deadline = time.monotonic() + seconds
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._listener.join(max(1, deadline - time.monotonic()))
        self._feeder.join(max(1, deadline - time.monotonic()))
        return self.ledger

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait(5)
