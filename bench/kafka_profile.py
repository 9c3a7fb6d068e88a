"""Where the time of the processors goes while messages go to Kafka: `perf record` of the whole
machine, by what threads do."""

import collections
import os
import re
import shutil
import subprocess

FREQUENCY = 1999  # samples a second on each processor

# Who: of the broker, or a thread of the sensor. What: first that fits.
SENSOR = (
    ("reads packets, finds messages, makes lines", r"^(tcp-sniffer|capture|team|shard)", ""),
    ("the writer gives them to librdkafka, and takes what became of them", r"^writer",
     r"librdkafka|tcp-sniffer"),
    ("memory and locks for that", r"^writer", r"libmimalloc|libc\.|kernel"),
    ("clocks for that", r"^writer", ""),
    ("librdkafka's thread compresses", r"^rdk", r"libzstd|liblz4"),
    ("librdkafka's thread makes batches", r"^rdk", r"librdkafka|libc\.|libmimalloc|libcrypto"),
    ("librdkafka's thread sends", r"^rdk", "kernel"),
    ("librdkafka's thread, other", r"^rdk", ""),
    ("other", "", ""),
)
BROKER = (
    ("Java compiles", r"^C[12] ", ""),
    ("Java collects garbage", r"^(G1|GC|VM|ParGC|Concurrent)", ""),
    ("in the system: network and files", "", "kernel"),
    ("Kafka", "", ""),
)
SAMPLE = re.compile(r"\s*(?P<thread>.+?)\s+(?P<process>\d+)\s+[0-9a-f]+ .*?\((?P<object>[^()]+)")


def available():
    return shutil.which("perf") is not None and os.geteuid() == 0


def group_of(sample, sensor, broker):
    """(who, what), or None of a process that has no part in it."""
    who, groups = {sensor: ("sensor", SENSOR), broker: ("broker", BROKER)}.get(
        int(sample["process"]), (None, ()))
    for what, thread, binary in groups:
        if re.search(thread, sample["thread"]) and re.search(binary, sample["object"]):
            return who, what
    return None


def record(command, broker, data):
    """Runs the command. Returns the seconds of processor time by (who, what), and the command's last
    event."""
    done = subprocess.run(["perf", "record", "-a", "-e", "cpu-clock", "-F", str(FREQUENCY), "-o", data,
                           "--", *command], stderr=subprocess.PIPE, check=True)
    events = [line for line in done.stderr.splitlines() if line.startswith(b"{")]
    listed = subprocess.run(["perf", "script", "-i", data, "-F", "comm,pid,ip,sym,dso"],
                            capture_output=True, text=True, errors="replace", check=True).stdout
    samples = [sample for line in listed.splitlines() if (sample := SAMPLE.match(line))]
    # It has the threads of librdkafka.
    sensor, _ = collections.Counter(int(one["process"]) for one in samples
                                    if one["thread"].startswith("rdk:")).most_common(1)[0]
    seconds = {}
    for sample in samples:
        if group := group_of(sample, sensor, broker):
            seconds[group] = seconds.get(group, 0) + 1 / FREQUENCY
    return seconds, events[-1]


def table(columns):
    """`columns`: (title, seconds by group, lines) of each run."""
    shares = [{group: 1e6 * time / lines for group, time in seconds.items()}
              for _, seconds, lines in columns]
    rows = ["| | " + " | ".join(title for title, *_ in columns) + " |",
            "|---|" + "---:|" * len(columns)]
    for who, groups in (("sensor", SENSOR), ("broker", BROKER)):
        for what, *_ in groups:
            cells = [f"{of.get((who, what), 0):.2f} ({of.get((who, what), 0) / sum(of.values()):.0%})"
                     for of in shares]
            rows.append(f"| {who}: {what} | " + " | ".join(cells) + " |")
    rows.append("| all | " + " | ".join(f"{sum(of.values()):.2f}" for of in shares) + " |")
    return "\n".join(rows)
