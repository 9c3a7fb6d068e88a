"""Reads a topic back whole and holds it against the lines of a run into a file."""

import collections
import re
import struct
import subprocess
from dataclasses import dataclass, field

READ_SECONDS_MAX = 300
# Of each record: partition, offset, key, headers, size of the value; then the value.
FORM = "%p\t%o\t%k\t%h\t%S\n%s\n"
CONNECTION = re.compile(rb'"connectionId":"([0-9a-f]{16})"')


@dataclass
class Record:
    partition: int
    offset: int
    key: bytes
    headers: bytes  # name=value, separated by commas
    value: bytes


def read(bootstrap, topic, settings=()):
    """Every record of the topic, partition by partition in order. `settings` are librdkafka's."""
    words = [word for setting in settings for word in ("-X", setting)]
    kcat = subprocess.Popen(
        ["kcat", "-q", "-b", bootstrap, *words, "-C", "-t", topic, "-o", "beginning", "-e",
         "-f", FORM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with kcat:
        for head in kcat.stdout:
            partition, offset, key, headers, size = head.rstrip(b"\n").split(b"\t")
            value = kcat.stdout.read(int(size))
            kcat.stdout.read(1)
            yield Record(int(partition), int(offset), key, headers, value)
        words = kcat.stderr.read().decode(errors="replace")
    if kcat.returncode != 0:
        raise OSError(f"kcat could not read the topic {topic}: {words[-1000:]}")


@dataclass
class Comparison:
    """What came back. `wrong` are sentences, each about a record that should not be as it is."""
    expected: int = 0
    records: int = 0
    distinct: int = 0
    duplicates: int = 0
    missing: int = 0
    wrong: list = field(default_factory=list)


def connection_of(line):
    found = CONNECTION.search(line)
    return found[1] if found else b""


def murmur2(key):
    """The hash by which Kafka's own clients choose a key's partition."""
    mask, factor = 0xffffffff, 0x5bd1e995
    value = 0x9747b28c ^ len(key)
    whole = len(key) // 4 * 4
    for word, in struct.iter_unpack("<I", key[:whole]):
        word = word * factor & mask
        value = (value * factor ^ (word ^ word >> 24) * factor) & mask
    if rest := key[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def compare(lines, records, sensor, partitions):
    """`lines`: those of the file, without line feeds; no two are equal. A record must be one of
    them, have its connection's id as key, and both headers. It must be in the partition where any
    client of Kafka looks for its key, and the first copies of the lines of a connection must be in
    the file's order."""
    place_of = {line: i for i, line in enumerate(lines)}
    result = Comparison(expected=len(lines))
    if len(place_of) != len(lines):
        raise ValueError("the file has two equal lines")
    seen = bytearray(len(lines))
    last_of, partition_of = {}, {}
    wrong = collections.Counter()
    headers = b"schemaVersion=1,sensor=" + sensor.encode()
    for record in records:
        result.records += 1
        place = place_of.get(record.value.rstrip(b"\n"))
        if place is None:
            wrong["a value that the file does not have"] += 1
            continue
        connection = connection_of(record.value)
        if record.key != connection:
            wrong["a key that is not the connectionId"] += 1
        if record.headers != headers:
            wrong[f"the headers {record.headers.decode(errors='replace')}"] += 1
        if connection not in partition_of:
            partition_of[connection] = (murmur2(connection) & 0x7fffffff) % partitions
        if partition_of[connection] != record.partition:
            wrong["a connection in another partition than its key's"] += 1
        if seen[place]:
            result.duplicates += 1
            continue
        seen[place] = 1
        if place < last_of.get(connection, -1):
            wrong["a line before an earlier one of its connection"] += 1
        last_of[connection] = place
    result.distinct = sum(seen)
    result.missing = len(lines) - result.distinct
    result.wrong = [f"{times} times {what}" for what, times in wrong.items()]
    return result
