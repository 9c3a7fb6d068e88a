#!/usr/bin/env python3
"""What it costs to write to Kafka: bench/kafka.py BUILD_DIR [--size 1G] [--runs 5] [--no-results]

Makes a capture of `api` traffic and reads it into /dev/null and into a topic of one broker on the
same processors, in interleaved rounds. Says how many messages a second that is, what a message
costs the sensor and the broker, and how large it is in the topic. A second table says what the
processors do meanwhile, and a third one how large a message is when a gateway has 10,000 of them a
second, which depends on how many of them share a batch. Writes the tables of docs/fleet.md between
<!-- sizing:begin --> and <!-- sizing:end -->. Needs Java 17, Maven, kcat, and perf as root.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from statistics import median

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "kafka"))

# pylint: disable=wrong-import-position
import cluster as kafka
import document
import kafka_profile

EIGHT = "timestamp,connectionId,exchange,method,host,path,status,latencyMs"
SMALL = ["--max-body-size", "0"]
MESSAGE_FIELDS = [*SMALL, "--select", EIGHT]
FIELDS = [*SMALL, "--records", "exchange", "--select", EIGHT]
FORMS = [  # name, flags, compression
    ("messages without bodies", SMALL, "zstd"),
    ("messages without bodies", SMALL, "lz4"),
    ("messages without bodies", SMALL, "none"),
    ("messages, eight fields", MESSAGE_FIELDS, "zstd"),
    ("messages, eight fields", MESSAGE_FIELDS, "lz4"),
    ("exchanges, eight fields", FIELDS, "zstd"),
    ("exchanges, eight fields", FIELDS, "lz4"),
]
PROFILED = (0, 4)  # of FORMS
# Java compiles while it runs: rounds that are not counted.
WARM_UP_ROUNDS = 6
PARTITIONS = 6
GATEWAY_MESSAGES = 10_000  # a second
GATEWAY_SECONDS = 10
SPREADS = [(partitions, linger) for partitions in (12, 96, 384) for linger in (20, 200, 1000)]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Form:
    name: str
    flags: list
    compression: str
    null_seconds: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    sensor_cpu: list = field(default_factory=list)
    broker_cpu: list = field(default_factory=list)
    lines: int = 0
    messages: int = 0
    line_bytes: int = 0
    topic_bytes: int = 0


def run(words):
    """(seconds, CPU seconds, the closing ledger)."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, stderr=subprocess.PIPE, check=True)
    seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, json.loads(done.stderr.splitlines()[-1])


def cpu_of(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def command(program, capture, form, output):
    kafka_flags = ["--kafka-properties", f"compression.type={form.compression}"]
    return [program, "-r", capture, "--format", "ndjson", "--log-format", "json",
            "--stats-interval-ms", "0", *form.flags, "--output", output,
            *(kafka_flags if output.startswith("kafka:") else [])]


def measure(program, capture, brokers, form, number):
    seconds, _, ledger = run(command(program, capture, form, "/dev/null"))
    form.null_seconds.append(seconds)
    form.line_bytes = ledger["output"]["bytes"]
    topic = f"bench-{number}"
    brokers.create_topic(topic, PARTITIONS)
    broker = brokers.brokers[0]
    before = cpu_of(broker.process.pid)
    seconds, cpu, ledger = run(command(program, capture, form, f"kafka://{brokers.bootstrap}/{topic}"))
    form.seconds.append(seconds)
    form.sensor_cpu.append(cpu)
    form.broker_cpu.append(cpu_of(broker.process.pid) - before)
    form.messages = ledger["messages"]["parsed"]
    form.lines = lines_of(ledger, form.flags)
    form.topic_bytes = topic_bytes(brokers, topic)
    brokers.delete_topic(topic)


def profile(program, capture, brokers, form, folder):
    """A column for kafka_profile.table."""
    brokers.create_topic("profiled", PARTITIONS)
    seconds, ledger = kafka_profile.record(
        command(program, capture, form, f"kafka://{brokers.bootstrap}/profiled"),
        brokers.brokers[0].process.pid, f"{folder}/perf.data")
    brokers.delete_topic("profiled")
    lines = lines_of(json.loads(ledger), form.flags)
    return f"{form.name}, {form.compression}", seconds, lines


def topic_bytes(brokers, topic):
    return sum(file.stat().st_size
               for file in brokers.brokers[0].folder.glob(f"log/{topic}-*/*.log"))


def lines_of(ledger, flags):
    if "exchange" in flags:
        return sum(ledger["exchanges"].values())
    return ledger["messages"]["parsed"]


def feed(capture, seconds, out):
    """The capture, evenly in so many seconds."""
    begin, sent, size = time.monotonic(), 0, os.path.getsize(capture)
    with open(capture, "rb") as file, out:
        while piece := file.read(16384):
            out.write(piece)
            sent += len(piece)
            time.sleep(max(0, begin + seconds * sent / size - time.monotonic()))


def spread(program, capture, brokers, partitions, linger):
    """What a line costs at a gateway's rate, as a row."""
    topic = f"spread-{partitions}-{linger}"
    brokers.create_topic(topic, partitions)
    broker = brokers.brokers[0].process.pid
    before = cpu_of(broker)
    sensor = subprocess.Popen(
        [program, "-r", "-", "--format", "ndjson", "--log-format", "json",
         "--stats-interval-ms", "0", *FIELDS,
         "--output", f"kafka://{brokers.bootstrap}/{topic}",
         "--kafka-properties", f"linger.ms={linger}"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    feed(capture, GATEWAY_SECONDS, sensor.stdin)
    ledger = json.loads(sensor.stderr.read().splitlines()[-1])
    _, status, usage = os.wait4(sensor.pid, 0)
    if status != 0:
        sys.exit(f"bench/kafka.py: {ledger}")
    lines = lines_of(ledger, FIELDS)
    size = topic_bytes(brokers, topic) / lines
    of_sensor = 1e6 * (usage.ru_utime + usage.ru_stime) / lines
    of_broker = 1e6 * (cpu_of(broker) - before) / lines
    brokers.delete_topic(topic)
    return f"| {partitions} | {linger} | {size:.0f} | {of_sensor:.1f} | {of_broker:.1f} |"


def clickhouse_rate(program, capture, folder):
    """Lines that one thread of ClickHouse takes from the topic into the table of docs/fleet.md, in a
    second, but for the topic itself: the lines come from a file."""
    configuration, creating, _ = document.shown(ROOT)
    lines = folder / "lines.ndjson"
    document.run_sensor(configuration, capture, program, folder, str(lines))
    database = document.connect(ROOT, folder / "data")
    for statement in creating:
        statement = re.sub(r"\(line String\)\s*ENGINE = Kafka.*",
                           "(line String, `_headers.name` Array(String), "
                           "`_headers.value` Array(String)) ENGINE = Null", statement,
                           flags=re.DOTALL)
        database.query(re.sub(r"^TTL .*$", "", statement, flags=re.MULTILINE), "CSV")
    before = time.process_time()
    database.query("INSERT INTO exchanges_topic SELECT line, ['schemaVersion', 'sensor'], "
                   f"['1', 'gateway'] FROM file('{lines}', 'LineAsString', 'line String') "
                   "SETTINGS max_threads = 1, max_insert_threads = 1", "CSV")
    seconds = time.process_time() - before
    rows = int(str(database.query("SELECT count() FROM exchanges", "CSV")))
    return rows / seconds


def row(form):
    lines = form.lines
    cells = [form.name, form.compression, f"{form.line_bytes / lines:,.0f}",
             f"{form.topic_bytes / lines:,.0f}",
             f"{form.messages / median(form.null_seconds):,.0f}",
             f"{form.messages / median(form.seconds):,.0f}",
             f"{lines / median(form.seconds):,.0f}",
             f"{1e6 * median(form.sensor_cpu) / lines:.2f}",
             f"{1e6 * median(form.broker_cpu) / lines:.2f}"]
    return "| " + " | ".join(cells) + " |"


HEADER = """| lines | compression | bytes a line | in the topic | messages/s to /dev/null \
| messages/s into Kafka | lines/s into Kafka | sensor, µs of CPU a line | broker, µs of CPU a line |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""

SPREAD_HEADER = """| partitions | `linger.ms` | bytes a line in the topic | sensor, µs of CPU a line \
| broker, µs of CPU a line |
|---:|---:|---:|---:|---:|"""


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write_document(tables, options):
    path = ROOT / "docs" / "fleet.md"
    begin, end = "<!-- sizing:begin -->", "<!-- sizing:end -->"
    text = path.read_text()
    before, after = text.index(begin) + len(begin), text.index(end)
    made = (f"Measured {datetime.date.today()} with `bench/kafka.py`, medians of {options.runs} "
            f"interleaved runs, a capture of {options.size}iB of small exchanges in the page cache, "
            f"Apache Kafka {kafka.kafka_version()} with one broker on the same "
            f"{os.cpu_count()} CPUs ({processor()}), Linux {platform.release()}.")
    path.write_text(text[:before] + f"\n{made}\n\n{tables}\n" + text[after:])


def make(build, size, capture):
    subprocess.run([f"{build}/tools/pcapgen/pcapgen", "-w", "api", "-s", str(size), "-o", capture],
                   check=True, capture_output=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build", type=os.path.abspath)
    arguments.add_argument("--size", default="1G")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--no-results", action="store_true")
    options = arguments.parse_args()
    if not kafka_profile.available():
        sys.exit("bench/kafka.py: it needs perf (Debian package linux-perf) and root")
    program = f"{options.build}/tcp-sniffer"
    forms = [Form(*form) for form in FORMS]
    with tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder, \
            kafka.Cluster(1, quick=False, heap="1g") as brokers:
        capture = f"{folder}/api.pcap"
        make(options.build, options.size, capture)
        for number in range(WARM_UP_ROUNDS):
            warm = forms[number % len(forms)]
            measure(program, capture, brokers, Form(warm.name, warm.flags, warm.compression),
                    f"warm-{number}")
        for number in range(options.runs):
            for i, form in enumerate(forms):
                measure(program, capture, brokers, form, f"{number}-{i}")
        profiles = [profile(program, capture, brokers, forms[one], folder) for one in PROFILED]
        size = os.path.getsize(capture) * GATEWAY_MESSAGES * GATEWAY_SECONDS // forms[0].messages
        gateway = f"{folder}/gateway.pcap"
        make(options.build, size, gateway)
        spreads = [spread(program, gateway, brokers, *one) for one in SPREADS]
        rate = clickhouse_rate(program, capture, pathlib.Path(folder))
    tables = "\n".join([
        HEADER, *[row(form) for form in forms], "",
        "What the processors do, µs of CPU a line:", "", kafka_profile.table(profiles), "",
        f"Exchanges, eight fields, zstd, {GATEWAY_MESSAGES:,} messages/s for "
        f"{GATEWAY_SECONDS} s:", "", SPREAD_HEADER, *spreads, "",
        f"One processor takes {rate:,.0f} lines/s into the table above in ClickHouse "
        f"({document.CHDB.replace('==', ' ')}; the lines come from a file)."])
    print(tables)
    if not options.no_results:
        write_document(tables, options)


if __name__ == "__main__":
    try:
        main()
    except kafka.Unavailable as reason:
        sys.exit(f"bench/kafka.py: {reason}")
