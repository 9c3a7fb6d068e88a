#!/usr/bin/env python3
"""check_lines.py EXPECTED OUTPUT: compares messages with those the generator wrote down.

EXPECTED is what `pcapgen --lines` writes (X.pcap.expected.ndjson), OUTPUT what tcp-sniffer prints
for the same capture; '-' is standard input. Messages are matched by direction and X-Request-Id.
Every field of an expected line must be in the output line with the same value, and for each
connection the lines must come in the expected order. Messages that lost bytes in the capture may
be incomplete or absent, but one that says nothing of a loss must be right.
"""

import json
import sys
from collections import Counter

SHOWN_MAX = 10


def lines_of(path):
    with (sys.stdin if path == "-" else open(path, encoding="utf-8")) as file:
        for line in file:
            yield json.loads(line)


def key_of(message):
    identifier = message["headers"].get("x-request-id")
    return message["direction"], identifier if isinstance(identifier, str) else None


def differences(expected, found):
    for name, value in expected.items():
        if name != "lostBytes" and found.get(name) != value:
            yield name, value, found.get(name)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    expected = {key_of(message): message for message in lines_of(sys.argv[1])}
    place = {key: at for at, key in enumerate(expected)}
    counts, shown, seen, latest = Counter(), [], set(), {}

    def wrong(kind, text):
        counts[kind] += 1
        if len(shown) < SHOWN_MAX:
            shown.append(f"{kind}: {text[:400]}")

    for found in lines_of(sys.argv[2]):
        key = key_of(found)
        wanted = expected.get(key)
        counts["lines"] += 1
        if wanted is None:
            if "incomplete" not in found:
                wrong("unexpected", json.dumps(found))
            continue
        if key in seen:
            wrong("twice", str(key))
        seen.add(key)
        if "incomplete" in found:
            counts["incomplete"] += 1
            if "lostBytes" not in wanted:
                wrong("needlessly incomplete", json.dumps(found))
        else:
            for name, value, got in differences(wanted, found):
                wrong("different", f"{key} {name}: {json.dumps(got)[:150]}, "
                      f"expected {json.dumps(value)[:150]}")
        connection = found.get("connectionId")
        if connection is not None:
            if latest.get(connection, -1) > place[key]:
                wrong("out of order", f"{key} in connection {connection}")
            latest[connection] = place[key]
    for key, wanted in expected.items():
        if key not in seen:
            counts["absent"] += 1
            if "lostBytes" not in wanted:
                wrong("missing", str(key))
    print(", ".join(f"{name}: {number}" for name, number in counts.items()))
    for text in shown:
        print(text)
    bad = ("unexpected", "twice", "needlessly incomplete", "different", "out of order", "missing")
    return 1 if any(counts[name] for name in bad) else 0


if __name__ == "__main__":
    sys.exit(main())
