#!/usr/bin/env python3
"""Reads `format: packed`, as docs/packed.md specifies it, and prints the lines of `format: ndjson`:

    tcp-sniffer -r a.pcap --format packed --binary-body base64 | tools/packed.py
    tools/packed.py messages.packed

`records(stream)` gives the records of a binary stream, `message_of(record)` and
`exchange_of(record)` what a line of NDJSON has, as a dict. Bytes that are no record are a ValueError.
"""

import argparse
import base64
import ipaddress
import json
import re
import struct
import sys
from datetime import datetime, timedelta, timezone

HEADER = struct.Struct("<I2sBB")
FIXED = struct.Struct("<I2sBBHHBBBBIIHHBBBBQQqqqQ16s16sIIIIIIIIII")
SELECTED_FIXED = struct.Struct("<IIII")  # what follows with SELECTED
FIELD = struct.Struct("<IIII")
PART = FIELD
MESSAGE, EXCHANGE = 1, 2
VERSION = 1

(HAS_EXCHANGE, HAS_LATENCY, HAS_TOTAL, BODY_TRUNCATED, BODY_WITHHELD, HEADERS_INCOMPLETE, AFTER_GAP,
 RAW_HEADERS, TEXTS_ARE_ASCII, FIRST_LATIN1, SECOND_LATIN1, INTERFACE_LATIN1,
 MAPPED_ON_WIRE, SELECTED) = (1 << bit for bit in range(14))
(TRAILERS, LOSSES, CONTENT_DECODED, CLIENT, PROXIED, EXTENDED, INTERFACE, PART_NUMBER,
 OF_REQUEST) = range(1, 10)
VALUE_LATIN1, VALUE_FOLDED, VALUE_LENGTH = 1 << 30, 1 << 31, (1 << 30) - 1
PARTS_MAX = 255

DIRECTIONS = ("request", "response")
VERSIONS = {9: "0.9", 10: "1.0", 11: "1.1"}
INCOMPLETE = (None, "gap", "closed", "evicted", "idle", "shutdown", "snaplen", "limit", "parseError")
DECODE_ERRORS = (None, "truncated", "corrupt", "limit")
ORPHANS = (None, "requestNotCaptured", "responseNotCaptured", "noResponse")
ANOMALIES = (
    "leadingBlanks", "startLineBlanks", "target", "version", "status", "http09", "bareLf", "bareCr",
    "obsFold", "blankBeforeColon", "fieldName", "noColon", "lengthAndCoding", "differentLengths",
    "repeatedLength", "invalidLength", "transferCoding", "chunkLine")
NO_BODY, TEXT, BYTES, LEFT_OUT = range(4)


def records(stream):
    """The records of a binary stream, one after another, as bytes."""
    while head := stream.read(HEADER.size):
        if len(head) < HEADER.size:
            raise ValueError("the stream ends within a record")
        size, mark, version, _ = HEADER.unpack(head)
        if mark != b"TP" or size < HEADER.size or size % 8 != 0:
            raise ValueError("no record begins here")
        if version != VERSION:
            raise ValueError(f"version {version} is not known")
        rest = stream.read(size - HEADER.size)
        if len(rest) < size - HEADER.size:
            raise ValueError("the stream ends within a record")
        yield head + rest


class Record:
    """The fixed part of a record, and what it points to."""

    def __init__(self, data):
        self.data = data
        if len(data) < FIXED.size:
            raise ValueError("a record without its fixed part")
        (_, _, _, self.kind, _, self.status, self.direction, self.protocol, self.http_version,
         self.incomplete, self.flags, self.anomalies, self.receiver_port, self.destination_port,
         self.body_kind, self.content_decode_error, self.orphan, self.orphan_cause,
         self.connection_id, self.exchange, self.first_byte_ns, self.duration_ns, self.latency_ns,
         self.body_size, self.receiver_ip, self.destination_ip, *places) = FIXED.unpack_from(data)
        self.first, self.second, self.headers, parts, self.body = zip(places[::2], places[1::2])
        # With `select`: what the record has, as names. A message of an exchange has none itself.
        self.names = None
        if self.has(SELECTED):
            if len(data) < FIXED.size + SELECTED_FIXED.size:
                raise ValueError("a record without its fixed part")
            names = SELECTED_FIXED.unpack_from(data, FIXED.size)[2:]
            self.names = self.bytes(names).decode().split(",")
        if parts[1] > PARTS_MAX:
            raise ValueError("more parts than a record can have")
        self.parts = {}
        for at in self.places_in(parts):
            tag, offset, length, _ = PART.unpack_from(data, at)
            if tag in self.parts:
                raise ValueError("a part that stands there twice")
            self.parts[tag] = self.bytes((offset, length))

    def has(self, flag):
        return self.flags & flag != 0

    def bytes(self, place):
        offset, length = place
        if offset + length > len(self.data):
            raise ValueError("a place beyond its record")
        return self.data[offset:offset + length]

    def places_in(self, entries):
        """Where the 16 bytes of each entry of a list begin."""
        offset, count = entries
        self.bytes((offset, count * FIELD.size))
        return range(offset, offset + count * FIELD.size, FIELD.size)

    def fields(self, entries):
        """Of headers or trailers: name, value, is latin1, is folded."""
        places = [FIELD.unpack_from(self.data, at) for at in self.places_in(entries)]
        if sum(name + (value & VALUE_LENGTH) for _, name, _, value in places) > len(self.data):
            raise ValueError("fields that are longer than their record")
        for name, name_size, value, value_size in places:
            yield (self.bytes((name, name_size)), self.bytes((value, value_size & VALUE_LENGTH)),
                   value_size & VALUE_LATIN1 != 0, value_size & VALUE_FOLDED != 0)

    def list_of_part(self, tag):
        """The place of a part that is a list of fields."""
        for at in self.places_in(struct.unpack_from("<II", self.data, 136)):
            found, offset, length, _ = PART.unpack_from(self.data, at)
            if found == tag:
                return offset, length // FIELD.size
        return 0, 0


def text(data, is_latin1):
    return data.decode("latin-1" if is_latin1 else "utf-8")


def time_text(ns):
    time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=ns // 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def milliseconds(ns):
    return ns // 1000000 if ns % 1000000 == 0 else ns / 1000000


def ip_text(ip, is_mapped_on_wire=False):
    if ip[:12] != bytes(10) + b"\xff\xff":
        return str(ipaddress.IPv6Address(ip))
    return ("::ffff:" if is_mapped_on_wire else "") + str(ipaddress.IPv4Address(ip[12:]))


def unfolded(value):
    """RFC 9112 section 5.2: whitespace with a line break in it is one space."""
    return re.sub(rb"[ \t\r\n]+",
                  lambda run: run[0] if not re.search(rb"[\r\n]", run[0]) else
                  b" " if 0 < run.start() and run.end() < len(value) else b"", value)


def headers_object(record, entries, group, latin1):
    """Names in lower case, a list for several values; notes names that are not UTF-8."""
    found = {}
    for name, value, is_latin1, is_folded in record.fields(entries):
        key = text(name.lower(), is_latin1)
        if key not in found and is_latin1:
            latin1.append(f"{group}.{key}")
        found.setdefault(key, []).append(text(unfolded(value) if is_folded else value, is_latin1))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def identity_of(record, out):
    """What the lines of a connection have in common."""
    out["connectionId"] = f"{record.connection_id:016x}"
    if record.has(HAS_EXCHANGE):
        out["exchange"] = record.exchange
    if record.kind == MESSAGE:
        out["direction"] = DIRECTIONS[record.direction]
    mapped = record.has(MAPPED_ON_WIRE)
    out["receiver"] = {"ip": ip_text(record.receiver_ip, mapped), "port": record.receiver_port}
    out["destination"] = {"ip": ip_text(record.destination_ip, mapped),
                          "port": record.destination_port}
    if PROXIED in record.parts:
        source, destination, source_port, destination_port, flags = struct.unpack_from(
            "<16s16sHHB", record.parts[PROXIED])
        out["proxied"] = {
            "source": {"ip": ip_text(source, flags & 2 != 0), "port": source_port},
            "destination": {"ip": ip_text(destination, flags & 4 != 0), "port": destination_port}}
        if flags & 1:
            out["proxied"]["tls"] = True
    if CLIENT in record.parts:
        out["client"] = ip_text(record.parts[CLIENT])
    if record.protocol == 1:
        out["protocol"] = "pop3"


def head_of(record, out, latin1):
    """The start line and the headers, or the command or reply of POP3."""
    is_pop3 = record.protocol == 1
    if PART_NUMBER in record.parts and not record.has(SELECTED):
        number, is_last = struct.unpack_from("<II", record.parts[PART_NUMBER])
        out["part"] = number
        if is_last:
            out["lastPart"] = True
        if number > 1:  # then there is no head
            trailers_of(record, out, latin1)
            return
    if record.direction == 0:
        names = ("method", "argument" if is_pop3 else "path")
    else:
        names = ("status" if is_pop3 else None, "statusText")
        if record.status != 0:
            out["statusCode"] = record.status
    for name, place, flag in zip(names, (record.first, record.second), (FIRST_LATIN1, SECOND_LATIN1)):
        if name is None:
            continue
        out[name] = text(record.bytes(place), record.has(flag))
        if record.has(flag):
            latin1.append(name)
    if is_pop3:
        return
    out["httpVersion"] = VERSIONS.get(record.http_version)
    out["headers"] = headers_object(record, record.headers, "headers", latin1)
    if record.has(RAW_HEADERS):
        out["rawHeaders"] = [[text(name, is_latin1), text(value, is_latin1)]
                             for name, value, is_latin1, _ in record.fields(record.headers)]
    trailers_of(record, out, latin1)


def trailers_of(record, out, latin1):
    if TRAILERS in record.parts:
        out["trailers"] = headers_object(record, record.list_of_part(TRAILERS), "trailers", latin1)


def measures_of(record, out):
    out["bodySize"] = record.body_size
    if record.has(BODY_TRUNCATED):
        out["bodyTruncated"] = True
    if record.has(BODY_WITHHELD):
        out["bodyRedacted"] = "unreadable"
    if CONTENT_DECODED in record.parts:
        out["contentDecoded"] = record.parts[CONTENT_DECODED].decode()
    if record.content_decode_error:
        out["contentDecodeError"] = DECODE_ERRORS[record.content_decode_error]
    out["durationMs"] = milliseconds(record.duration_ns)
    if record.has(HAS_LATENCY):
        out["latencyMs"] = milliseconds(record.latency_ns)
    if record.incomplete:
        out["incomplete"] = INCOMPLETE[record.incomplete]
    missing, *gaps = struct.unpack(f"<{len(record.parts.get(LOSSES, bytes(8))) // 8}Q",
                                   record.parts.get(LOSSES, bytes(8)))
    if missing:
        out["missingBytes"] = missing
    if gaps:
        out["bodyGaps"] = [list(gap) for gap in zip(gaps[::2], gaps[1::2])]
    if record.has(HEADERS_INCOMPLETE):
        out["headersIncomplete"] = True
    if record.has(AFTER_GAP):
        out["afterGap"] = True
    if record.anomalies:
        out["anomalies"] = [word for bit, word in enumerate(ANOMALIES) if record.anomalies >> bit & 1]


def extended_of(record, out, latin1, of_message, of_connection, shared=None):
    """With `fields: extended`: what is of the message, and what of its connection. `shared` is the
    interface that the exchange names."""
    if record.parts.get(INTERFACE, shared) != shared:
        out["interface"] = text(record.parts[INTERFACE], record.has(INTERFACE_LATIN1))
        if record.has(INTERFACE_LATIN1):
            latin1.append("interface")
    if EXTENDED not in record.parts:
        return
    first, last, connect_ns, headers_size, vlan, community = struct.unpack_from(
        "<QQqIH30s", record.parts[EXTENDED])
    if of_message and first:
        out["firstFrame"], out["lastFrame"] = first, last
    if of_message:
        out["headersSize"] = headers_size
    if of_connection:
        if vlan:
            out["vlan"] = vlan
        out["communityId"] = community.decode()
        if connect_ns >= 0:
            out["connectMs"] = milliseconds(connect_ns)


def body_of(record, out):
    if record.body_kind == LEFT_OUT:
        out["bodyEncoding"] = "binary"
    elif record.body_kind == BYTES:
        out["bodyEncoding"] = "base64"
        out["body"] = base64.b64encode(record.bytes(record.body)).decode()
    elif record.body_kind == TEXT:
        out["body"] = record.bytes(record.body).decode()


def note_latin1(out, latin1):
    if latin1:
        out["latin1"] = latin1


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class SelectedMessage:
    """A message of which fields were selected: their values by their names in `select`."""

    def __init__(self, record):
        self.record = record
        self.latin1 = []
        self.fields = {"timestamp": time_text(record.first_byte_ns)}
        identity_of(record, self.fields)
        if PART_NUMBER in record.parts:
            number, is_last = struct.unpack_from("<II", record.parts[PART_NUMBER])
            self.fields["part"] = number or None
            self.fields["lastPart"] = True if is_last else None
        head_of(record, self.fields, self.latin1)
        measures_of(record, self.fields)
        extended_of(record, self.fields, self.latin1, True, True)
        body_of(record, self.fields)
        self.of_request = self.read_of_request()

    def read_of_request(self):
        """Part 9: what a response tells of its request; values, and which of them are Latin-1."""
        part = self.record.parts.get(OF_REQUEST)
        if part is None:
            return {}, set()
        body_size, has, *sizes = struct.unpack_from("<QIIII", part)
        values, latin1, at = {}, set(), 24
        if has & 1:
            values["bodySize"] = body_size
        for bit, (name, size) in enumerate(zip(("method", "path", "host"), sizes)):
            if has & 2 << bit:
                values[name] = text(part[at:at + size], has & 16 << bit != 0)
            if has & 16 << bit:
                latin1.add(name)
            at += size
        return values, latin1

    def host(self):
        """The first Host header as it was sent, and whether it is Latin-1."""
        for name, value, _, _ in self.record.fields(self.record.headers):
            if name.lower() == b"host":
                return (text(value, not is_utf8(value)), not is_utf8(value)) if value else (None, False)
        return None, False

    def value(self, name):
        """The value of a field, or None, and the names that `latin1` has because of it."""
        side, bare = "", name
        for prefix in ("request", "response"):
            if name.startswith(prefix + "."):
                side, bare = prefix, name[len(prefix) + 1:]
        of_request, latin1_of_request = self.of_request
        is_of_request = side == "request" or bare in ("method", "path", "host", "argument")
        if is_of_request and self.record.direction == 1:
            return of_request.get(bare), [name] if bare in latin1_of_request else []
        if side == "response" and self.record.direction == 0:
            return None, []
        group, _, header = bare.partition(".")
        if bare == "contentType":
            group, header = "headers", "content-type"
        if bare in ("headers", "rawHeaders", "trailers"):
            of = "trailers" if bare == "trailers" else "headers"
            found = [name + one[len(of):] for one in self.latin1 if one.startswith(of + ".")]
            return self.fields.get(bare), found
        if group in ("headers", "trailers"):
            is_latin1 = f"{group}.{header}" in self.latin1
            return self.fields.get(group, {}).get(header), [name] if is_latin1 else []
        if bare == "host":
            host, is_latin1 = self.host()
            return host, [name] if is_latin1 else []
        if bare == "status" and self.record.protocol == 0:
            bare = "statusCode"
        value = self.fields
        for key in bare.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value, [name] if bare in self.latin1 else []


def put_selected(names, values, out):
    """Puts the values that there are under their names. `values(name)` gives a value, and the names
    of what is Latin-1 in it. `latin1` stands where it was asked for."""
    latin1 = {"request": [], "": []}
    for name in names:
        if name.endswith("latin1"):
            out[name] = None
            continue
        side, value, found = values(name)
        if value is not None:
            out[name] = value
            latin1[side] += found
    for name in [name for name in out if out[name] is None]:
        found = {"latin1": latin1["request"] + latin1[""], "request.latin1": latin1["request"],
                 "response.latin1": latin1[""]}[name]
        if found:
            out[name] = found
        else:
            del out[name]


def selected_message_of(record):
    message, out = SelectedMessage(record), {}
    side = "request" if record.direction == 0 else ""
    put_selected(record.names, lambda name: (side, *message.value(name)), out)
    return out


OF_EXCHANGE = ("timestamp", "connectionId", "exchange", "protocol", "receiver", "destination",
               "proxied", "client", "interface", "vlan", "communityId", "connectMs")


def selected_exchange_of(record, messages):
    """The line of an exchange of which fields were selected."""
    own, out = SelectedMessage(record), {}
    if record.has(HAS_TOTAL):
        own.fields["totalMs"] = milliseconds(record.duration_ns)
    own.fields["orphan"] = ORPHANS[record.orphan]
    own.fields["orphanCause"] = INCOMPLETE[record.orphan_cause]
    sides, interim = {}, []
    for message in messages:
        is_interim = message.direction == 1 and 100 <= message.status < 200 and message.status != 101
        if is_interim:
            interim.append(message.status)
        else:
            sides[DIRECTIONS[message.direction]] = SelectedMessage(message)

    def value(name):
        if name.split(".")[0] in OF_EXCHANGE or name in ("totalMs", "orphan", "orphanCause"):
            return "", *own.value(name)
        if name == "interim":
            return "", interim or None, []
        is_of_request = name.startswith("request.") or name in ("method", "path", "host", "argument")
        side = sides.get("request" if is_of_request else "response")
        if side is None:
            return "", None, []
        return "request" if is_of_request else "", *side.value(name)

    put_selected(record.names, value, out)
    return out


def message_of(data):
    """A record of kind MESSAGE as the dict that its line of NDJSON is."""
    record, latin1 = Record(data), []
    if record.names is not None:
        return selected_message_of(record)
    out = {"timestamp": time_text(record.first_byte_ns)}
    identity_of(record, out)
    head_of(record, out, latin1)
    measures_of(record, out)
    extended_of(record, out, latin1, True, True)
    note_latin1(out, latin1)
    body_of(record, out)
    return out


def part_of(record, shared):
    """A message as it stands in the line of its exchange."""
    out, latin1 = {}, []
    is_interim = record.direction == 1 and 100 <= record.status < 200 and record.status != 101
    if record.direction == 1:
        out["timestamp"] = time_text(record.first_byte_ns)
    head_of(record, out, latin1)
    measures_of(record, out)
    if not is_interim:
        out.pop("latencyMs", None)
    extended_of(record, out, latin1, True, False, shared)
    note_latin1(out, latin1)
    body_of(record, out)
    return "request" if record.direction == 0 else "interim" if is_interim else "response", out


def exchange_of(data):
    """A record of kind EXCHANGE as the dict that its line of NDJSON is."""
    record, latin1 = Record(data), []
    if record.names is not None:
        return selected_exchange_of(record, list(messages_in(record)))
    out = {"timestamp": time_text(record.first_byte_ns)}
    identity_of(record, out)
    if record.has(HAS_LATENCY):
        out["latencyMs"] = milliseconds(record.latency_ns)
    if record.has(HAS_TOTAL):
        out["totalMs"] = milliseconds(record.duration_ns)
    if record.orphan:
        out["orphan"] = ORPHANS[record.orphan]
    if record.orphan_cause:
        out["orphanCause"] = INCOMPLETE[record.orphan_cause]
    extended_of(record, out, latin1, False, True)
    note_latin1(out, latin1)
    for message in messages_in(record):
        name, part = part_of(message, record.parts.get(INTERFACE))
        if name == "interim":
            out.setdefault("interim", []).append(part)
        else:
            out[name] = part
    return out


def messages_in(record):
    """The records of an exchange's messages."""
    messages, at = record.bytes(record.body), 0
    while at < len(messages):
        size = HEADER.unpack_from(messages, at)[0]
        if size < FIXED.size:
            raise ValueError("no message within the exchange")
        yield Record(messages[at:at + size])
        at += size


READERS = {MESSAGE: message_of, EXCHANGE: exchange_of}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=argparse.FileType("rb"), default=sys.stdin.buffer,
                        help="what tcp-sniffer wrote (default: standard input)")
    for data in records(parser.parse_args().file):
        reader = READERS.get(data[7])
        if reader is not None:  # records of other kinds may come
            print(json.dumps(reader(data), ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()
