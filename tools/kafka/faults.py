#!/usr/bin/env python3
"""What comes out of Kafka when brokers fail: faults.py BUILD [--only NAME]... [--document FILE]

Starts three brokers and, for each fault, a sensor that gets a capture slowly through its standard
input. Brings the fault about in its middle, reads the topic back whole and holds it against a run
into a file: nothing may be missing that was not reported, the lines of a connection must be in
order, key and headers must be right, the ledger must close, and no event may show a message. Then
the same over TLS, and with an authority that did not sign the brokers' certificate. Last, --check
has to find what stands in the way. Prints a row for each fault; with
--document it also writes them into FILE between <!-- faults:begin --> and <!-- faults:end -->. The
exit code is 1 when something was wrong, and 77 where there is no Java, Maven or kcat.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import admin
import cluster as kafka
import topic as topics
from sensor import Sensor

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CAPTURE_SIZE = "64M"
SENSOR = "sensor-1"
# Acknowledged before a fault begins, and once more after it: so it lies in the middle of a load.
MESSAGES_BETWEEN = 1000
PAUSE_SECONDS = 10


@dataclass
class Outcome:
    fault: str
    sent: int = 0
    acknowledged: int = 0
    reported: int = 0  # as not delivered
    read: int = 0
    duplicates: int = 0
    missing: int = 0
    seconds: float = 0


class Lab:
    """Brokers, a capture, and what a run into a file makes of it."""

    def __init__(self, build, folder, brokers):
        self.program = f"{build}/tcp-sniffer"
        self.generator = f"{build}/tools/pcapgen/pcapgen"
        self.folder = folder
        self.cluster = brokers
        self.capture, self.lines = self.make("api")

    def make(self, workload, flags=()):
        """(capture, the lines that a run into a file makes of it)."""
        capture, output = self.folder / f"{workload}.pcap", self.folder / f"{workload}.ndjson"
        subprocess.run([self.generator, "-o", capture, "-w", workload, "-s", CAPTURE_SIZE],
                       check=True, capture_output=True)
        subprocess.run([self.program, "-r", capture, "--format", "ndjson", "--output", output,
                        *flags], check=True, capture_output=True)
        return capture, output.read_bytes().splitlines()

    def start(self, topic, flags=(), capture=None, bootstrap=None):
        return Sensor(self.program, capture or self.capture,
                      ["--output", f"kafka://{bootstrap or self.cluster.bootstrap}/{topic}",
                       "--sensor-name", SENSOR, *flags])


def acknowledged(sensor):
    return sensor.count("kafka", "acknowledged")


def wait_for_more(sensor, messages=MESSAGES_BETWEEN):
    """Until so many more messages are acknowledged."""
    goal = acknowledged(sensor) + messages

    def is_there():
        if sensor.process.poll() is not None:
            raise kafka.Failed(f"the sensor ended: {sensor.events[-2:]}")
        return acknowledged(sensor) >= goal

    kafka.wait_until(is_there, f"{messages} more messages are acknowledged")


def words_of(sensor):
    return " ".join(str(event) for event in sensor.events)


# Each fault takes (lab, sensor, topic), and returns what it finds wrong.

def no_fault(lab, sensor, topic):  # pylint: disable=unused-argument
    return []


def kill_a_leader(lab, sensor, topic):
    leader = lab.cluster.leader(topic)
    leader.kill()
    wait_for_more(sensor)
    leader.start()
    lab.cluster.wait_for([leader])
    lab.cluster.wait_in_sync(topic)
    return []


def pause_a_leader(lab, sensor, topic):
    leader = lab.cluster.leader(topic)
    leader.send(signal.SIGSTOP)
    time.sleep(PAUSE_SECONDS)  # the fault itself
    leader.send(signal.SIGCONT)
    lab.cluster.wait_in_sync(topic)
    return []


def restart_one_by_one(lab, sensor, topic):  # pylint: disable=unused-argument
    for broker in lab.cluster.brokers:
        broker.stop()
        broker.start()
        lab.cluster.wait_for([broker])
        lab.cluster.wait_in_sync(topic)
    return []


def kill_all(lab, sensor, topic):
    for broker in lab.cluster.brokers:
        broker.kill()
    for broker in lab.cluster.brokers:
        broker.start()
    lab.cluster.wait_for(lab.cluster.brokers)
    lab.cluster.wait_in_sync(topic)
    return []


def deny_for_a_while(lab, sensor, topic):
    rule = (lab.cluster.addresses, topic, "sensor", admin.WRITE, admin.DENY)
    admin.create_access(*rule)
    kafka.wait_until(lambda: sensor.count("kafka", "failed"), "messages are denied")
    admin.delete_access(*rule)
    wait_for_more(sensor)
    told = "authoriz" in words_of(sensor).lower()
    return [] if told else ["no event says that the topic is denied"]


FAULTS = {
    "none": ("none", no_fault),
    "kill": ("SIGKILL of the broker that leads most partitions; started again", kill_a_leader),
    "pause": (f"SIGSTOP of that broker for {PAUSE_SECONDS} s, then SIGCONT", pause_a_leader),
    "rolling": ("rolling restart of all three brokers", restart_one_by_one),
    "outage": ("SIGKILL of all three brokers at once; started again", kill_all),
}


def under_load(lab, name):
    """A fault that costs nothing but time."""
    title, fault = FAULTS[name]
    topic = f"fault-{name}"
    lab.cluster.create_topic(topic)
    sensor = lab.start(topic)
    try:
        wait_for_more(sensor)
        wrong = fault(lab, sensor, topic)
        wait_for_more(sensor)
        outcome, found = finish(lab, sensor, topic, title)
        if outcome.reported:
            wrong.append(f"{outcome.reported} messages were given up")
        return outcome, wrong + found
    finally:
        sensor.stop()


def denied(lab):
    topic = "fault-denied"
    lab.cluster.create_topic(topic)
    admin.create_access(lab.cluster.addresses, topic, "sensor", admin.ALL, admin.ALLOW)
    secrets = lab.folder / "secrets.properties"
    secrets.touch(mode=0o600)
    secrets.write_text(f"sasl.password={kafka.USERS['sensor']}\n")
    sensor = lab.start(topic, [
        "--kafka-properties",
        "security.protocol=SASL_PLAINTEXT,sasl.mechanisms=PLAIN,sasl.username=sensor",
        "--kafka-properties-file", str(secrets)], bootstrap=lab.cluster.sasl_bootstrap)
    try:
        wait_for_more(sensor)
        wrong = deny_for_a_while(lab, sensor, topic)
        outcome, found = finish(lab, sensor, topic, "access denied, then allowed again")
        if not outcome.reported:
            wrong.append("no message was denied")
        if kafka.USERS["sensor"] in words_of(sensor):
            wrong.append("an event shows the password")
        return outcome, wrong + found
    finally:
        sensor.stop()


def topic_lost(lab):
    topic = "fault-topic"
    lab.cluster.create_topic(topic)
    # How long librdkafka waits for a topic that is not there.
    sensor = lab.start(topic, ["--kafka-properties", "topic.metadata.propagation.max.ms=1000"])
    try:
        wait_for_more(sensor)
        sensor.pause()
        kafka.wait_until(lambda: sensor.count("messages", "queued") == 0 and
                         sensor.count("messages", "parsed") == acknowledged(sensor),
                         "all that was read is acknowledged")
        before = list(topics.read(lab.cluster.bootstrap, topic))
        lab.cluster.delete_topic(topic)
        sensor.go_on()
        kafka.wait_until(lambda: sensor.count("kafka", "failed"), "messages have no topic")
        lab.cluster.create_topic(topic)
        wait_for_more(sensor)
        outcome, wrong = finish(lab, sensor, topic, "topic deleted, and made again later", before)
        if not re.search("unknown topic", words_of(sensor), re.IGNORECASE):
            wrong.append("no event says that the topic is unknown")
        return outcome, wrong
    finally:
        sensor.stop()


def too_large(lab):
    """Bodies of up to 1 MiB into a topic that takes no more than 256 KiB."""
    topic = "fault-large"
    with_all_bodies = ["--binary-body", "base64"]
    capture, lines = lab.make("bulk", with_all_bodies)
    limit = 256 * 1024
    lab.cluster.create_topic(topic, max_message_bytes=limit)
    sensor = lab.start(topic, [
        *with_all_bodies, "--kafka-properties",
        f"batch.size={limit // 2},compression.type=none"], capture)
    try:
        outcome, wrong = finish(lab, sensor, topic, "messages larger than the topic allows",
                                lines=lines)
        too_long = sum(1 for line in lines if len(line) > limit)
        if not 0 < too_long <= outcome.reported:
            wrong.append(f"{too_long} lines are too large, {outcome.reported} were refused")
        if "too large" not in words_of(sensor).lower():
            wrong.append("no event says that a message is too large")
        return outcome, wrong
    finally:
        sensor.stop()


def dropping(lab):
    """The brokers stand still until there is no room for lines. With shards: 0 whole lines are
    dropped then."""
    topic = "fault-drop"
    lab.cluster.create_topic(topic)
    sensor = lab.start(topic, ["--overload", "drop", "--shards", "0", "--memory-limit", "64M"])
    try:
        wait_for_more(sensor)
        for broker in lab.cluster.brokers:
            broker.send(signal.SIGSTOP)
        sensor.hurry()
        kafka.wait_until(lambda: sensor.count("messages", "dropped_overload"), "lines are dropped")
        for broker in lab.cluster.brokers:
            broker.send(signal.SIGCONT)
        outcome, wrong = finish(lab, sensor, topic,
                                "SIGSTOP of all three brokers at a burst, with `overload: drop`")
        if not outcome.reported:
            wrong.append("no message was dropped")
        return outcome, wrong
    finally:
        sensor.stop()


def stopped_without_brokers(lab):
    topic = "fault-stop"
    lab.cluster.create_topic(topic)
    sensor = lab.start(topic, ["--drain-timeout-ms", "1000"])
    try:
        wait_for_more(sensor)
        for broker in lab.cluster.brokers:
            broker.kill()
        parsed = sensor.count("messages", "parsed")
        kafka.wait_until(lambda: sensor.count("messages", "parsed") > parsed + MESSAGES_BETWEEN,
                         "messages wait for a broker")
        sensor.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        sensor.process.wait(60)
        took = time.monotonic() - begin
        for broker in lab.cluster.brokers:
            broker.start()
        lab.cluster.wait_for(lab.cluster.brokers)
        lab.cluster.wait_in_sync(topic)
        outcome, wrong = finish(lab, sensor, topic, "no broker any more, then the sensor is stopped",
                                whole=False)
        if took > 15:
            wrong.append(f"the stop took {took:.1f} s")
        if not outcome.reported:
            wrong.append("no message was given up")
        return outcome, wrong
    finally:
        sensor.stop()


def over_tls(lab):
    """Returns what is wrong with a run over TLS, and with one that trusts another authority."""
    topic = "over-tls"
    lab.cluster.create_topic(topic)

    def flags(authority):
        return ["--kafka-properties", f"security.protocol=ssl,ssl.ca.location={authority}"]

    sensor = lab.start(topic, flags(lab.cluster.authority), bootstrap=lab.cluster.tls_bootstrap)
    try:
        outcome, wrong = finish(lab, sensor, topic, "over TLS")
    finally:
        sensor.stop()
    if outcome.reported:
        wrong.append(f"over TLS {outcome.reported} messages were given up")
    stranger = kafka.make_certificate(lab.folder / "stranger.pem")
    sensor = lab.start(topic, [*flags(stranger), "--kafka-connect-timeout-ms", "3000"],
                       bootstrap=lab.cluster.tls_bootstrap)
    try:
        ledger = sensor.wait()
    finally:
        sensor.stop()
    errors = [event for event in sensor.events if event["event"] == "kafka_error"]
    if not any(event["code"] == "_SSL" and "certificate verify failed" in event["error"]
               for event in errors):
        wrong.append(f"no event says that the certificate is of another authority: {errors[:2]}")
    if sensor.process.returncode != 7 or acknowledged(sensor):
        wrong.append(f"with another authority the run ends with {sensor.process.returncode}")
    if ledger.get("event") != "stopped" or \
            ledger["messages"]["discarded"] != ledger["messages"]["parsed"]:
        wrong.append(f"with another authority the ledger is {ledger}")
    return wrong


def checks(lab):
    """--check connects, and says what stands in the way. Returns what is wrong with that."""
    lab.cluster.create_topic("checked")
    secrets = lab.folder / "wrong.properties"
    secrets.touch(mode=0o600)
    secrets.write_text("sasl.password=not-the-password\n")
    with_password = ["--kafka-properties",
                     "security.protocol=SASL_PLAINTEXT,sasl.mechanisms=PLAIN,sasl.username=sensor",
                     "--kafka-properties-file", str(secrets)]
    closed, = kafka.free_ports(1)
    untrusted = ["--kafka-properties",
                 f"security.protocol=ssl,ssl.ca.location={lab.folder}/stranger.pem"]
    wrong = []
    for brokers, topic, flags, succeeds, words in (
            (lab.cluster.bootstrap, "checked", [], True, f"partitions: {kafka.PARTITIONS}"),
            (lab.cluster.bootstrap, "no-such-topic", [], False, "Unknown topic"),
            (lab.cluster.sasl_bootstrap, "checked", with_password, False, "Authentication failed"),
            (lab.cluster.tls_bootstrap, "checked", untrusted, False, "certificate verify failed"),
            (f"127.0.0.1:{closed}", "checked", [], False, "Connection refused")):
        done = subprocess.run(
            [lab.program, "-r", lab.capture, "--check", "--output", f"kafka://{brokers}/{topic}",
             *flags], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if (done.returncode == 0) != succeeds or words not in said or "not-the-password" in said:
            wrong.append(f"--check, which should say {words!r}, ends with {done.returncode}: {said}")
    return wrong


def finish(lab, sensor, topic, title, before=(), lines=None, whole=True):
    """(what became of the messages, what is wrong about it). `before`: records that were read from
    the topic already. `whole`: the sensor has to read its whole capture."""
    lines = lines or lab.lines
    ledger = sensor.wait()
    if ledger.get("event") != "stopped":
        return Outcome(title), [f"the sensor did not end, at last {sensor.events[-2:]}"]
    records = [*before, *topics.read(lab.cluster.bootstrap, topic)]
    compared = topics.compare(lines, records, SENSOR, kafka.PARTITIONS)
    counts = ledger["messages"]
    given_up = counts["discarded"] + counts["dropped_overload"]
    outcome = Outcome(title, counts["parsed"], ledger["kafka"]["acknowledged"], given_up,
                      compared.records, compared.duplicates,
                      max(0, counts["parsed"] - given_up - compared.distinct))
    wrong = list(compared.wrong)
    if "connectionId" in words_of(sensor):
        wrong.append("an event shows a message")
    if sensor.process.returncode != 0:
        wrong.append(f"the sensor ended with {sensor.process.returncode}")
    if whole and outcome.sent != len(lines):
        wrong.append(f"{outcome.sent} messages were parsed, {len(lines)} are in the capture")
    if outcome.missing:
        wrong.append(f"{outcome.missing} messages are missing and were not reported")
    if outcome.acknowledged > compared.distinct:
        wrong.append("more was acknowledged than is there")
    if counts["written"] != outcome.acknowledged:
        wrong.append(f"{counts['written']} written, {outcome.acknowledged} acknowledged")
    if outcome.sent != outcome.acknowledged + outcome.reported:
        wrong.append("the ledger does not close")
    return outcome, wrong


RUNS = {**{name: (lambda lab, name=name: under_load(lab, name)) for name in FAULTS},
        "denied": denied, "topic": topic_lost, "large": too_large, "drop": dropping,
        "stop": stopped_without_brokers}
HEADER = ("| fault | sent | acknowledged | reported as not delivered | read back | duplicates "
          "| missing |\n|---|---:|---:|---:|---:|---:|---:|")


def row(outcome):
    numbers = (outcome.sent, outcome.acknowledged, outcome.reported, outcome.read,
               outcome.duplicates, outcome.missing)
    return f"| {outcome.fault} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


def write_document(path, rows):
    begin, end = "<!-- faults:begin -->", "<!-- faults:end -->"
    text = path.read_text()
    before, after = text.index(begin) + len(begin), text.index(end)
    made = (f"Made {datetime.date.today()} by `tools/kafka/faults.py`: Apache Kafka "
            f"{kafka.kafka_version()}, three brokers and the sensor on the same "
            f"{os.cpu_count()} processors, Linux {platform.release()}.")
    path.write_text(text[:before] + f"\n{made}\n\n{HEADER}\n" + "\n".join(rows) + "\n" + text[after:])


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=os.path.abspath)
    arguments.add_argument("--only", action="append", choices=RUNS)
    arguments.add_argument("--document", type=pathlib.Path)
    options = arguments.parse_args()
    rows, failures = [], 0

    def report(wrong):
        nonlocal failures
        failures += len(wrong)
        for sentence in wrong:
            print(f"WRONG: {sentence}", flush=True)

    with tempfile.TemporaryDirectory(prefix="faults-") as folder, kafka.Cluster(3, tls=True) as brokers:
        lab = Lab(options.build, pathlib.Path(folder), brokers)
        print(HEADER, flush=True)
        for name in options.only or RUNS:
            begin = time.monotonic()
            try:
                outcome, wrong = RUNS[name](lab)
            except kafka.Failed as error:
                raise kafka.Failed(f"fault {name}: {error}") from error
            rows.append(row(outcome))
            print(rows[-1], f"{time.monotonic() - begin:.0f} s", flush=True)
            report(wrong)
        report(over_tls(lab))
        report(checks(lab))
    if options.document and not failures:
        write_document(options.document, rows)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kafka.Unavailable as reason:
        kafka.skip(reason, isinstance(reason, kafka.OutOfReach))
    except (kafka.Failed, admin.Refused, OSError) as reason:
        sys.exit(f"faults.py: {reason}")
