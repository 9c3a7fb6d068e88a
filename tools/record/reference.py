#!/usr/bin/env python3
"""Says which HTTP messages a capture contains, by means that share nothing with tcp-sniffer, and
compares them with tcp-sniffer's lines.

  reference.py CAPTURE                    lists the messages
  reference.py CAPTURE LINES.ndjson       compares; exit code 1 when there are differences
  reference.py --whole WHOLE CAPTURE LINES.ndjson
        for a capture with loss: WHOLE is the one it was made of. Lines that claim to be complete
        must be messages of WHOLE, the others must begin like one, and none may be twice.

  reference.py --all TCP_SNIFFER          runs that program on every capture of pcaps/ and compares

tshark decodes, defragments and reassembles TCP; the HTTP in its streams is read here, strictly.
tshark's own HTTP dissector is asked too, for start lines in order; where it disagrees a note is
printed. (It takes the response to a pipelined HEAD for one with a body.)
Bodies are compared whole with lines made by
  tcp-sniffer -r CAPTURE --binary-body base64 --max-body-size 16M
otherwise as far as the line has them.
"""
import argparse
import base64
import collections
import hashlib
import json
import pathlib
import re
import subprocess
import sys

import pop3_reference

PORTS = (80, 3000, 3128, 8000, 8080, 8081)
TSHARK = ["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-o", "ip.defragment:TRUE",
          "-o", "tcp.check_checksum:FALSE", "-o", "http.decompress_body:FALSE"]
for http_port in PORTS:
    TSHARK += ["-d", f"tcp.port=={http_port},http"]

Message = collections.namedtuple(
    "Message", "server client direction start headers trailers body complete")


def run_tshark(capture, *arguments):
    done = subprocess.run([*TSHARK, "-r", capture, *arguments], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"tshark on {capture}: {done.stderr.strip()}")
    return done.stdout


def without_proxy_header(data):
    """What the client sent behind the header that HAProxy has put in front."""
    if data.startswith(b"PROXY "):
        return data[data.index(b"\r\n") + 2:]
    if data.startswith(b"\r\n\r\n\x00\r\nQUIT\n"):
        return data[16 + int.from_bytes(data[14:16], "big"):]
    return data


def streams(capture):
    """(server endpoint, client endpoint, client's bytes, server's bytes) of each connection."""
    numbers = run_tshark(capture, "-T", "fields", "-e", "tcp.stream").split()
    for number in sorted({int(n) for n in numbers}):
        text = run_tshark(capture, "-q", "-z", f"follow,tcp,raw,{number}")
        endpoints, data = {}, {0: bytearray(), 1: bytearray()}
        for line in text.splitlines():
            if line.startswith("Node "):
                node, _, address = line.partition(": ")
                host, _, port = address.rpartition(":")
                endpoints[int(node[5:])] = (host.strip("[]"), int(port))
            elif line and all(c in "0123456789abcdef\t" for c in line):
                data[1 if line.startswith("\t") else 0] += bytes.fromhex(line.strip())
        first, second = endpoints[0], endpoints[1]
        if first[1] in (*PORTS, pop3_reference.PORT):
            yield first, second, without_proxy_header(bytes(data[1])), bytes(data[0])
        else:
            yield second, first, without_proxy_header(bytes(data[0])), bytes(data[1])


def wire_text(data):
    """As tcp-sniffer has it: UTF-8, or else each byte a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_fields(block):
    fields = [line.split(":", 1) for line in block.split("\r\n") if line]
    return [(name, value.strip(" \t")) for name, value in fields]


def all_values(headers, name):
    return [value for key, value in headers if key.lower() == name]


def read_chunks(data, at):
    """(body, trailers, position behind, whole)"""
    body = bytearray()
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return bytes(body), [], len(data), False
        size = int(data[at:end].split(b";")[0], 16)
        at = end + 2
        if size == 0:
            trailers_end = at if data[at:at + 2] == b"\r\n" else data.find(b"\r\n\r\n", at) + 2
            trailers = read_fields(wire_text(data[at:trailers_end]))
            return bytes(body), trailers, trailers_end + 2, True
        body += data[at:at + size]
        if at + size + 2 > len(data):
            return bytes(body), [], len(data), False
        at += size + 2


def read_messages(data, methods):
    """Yields (start line, headers, trailers, body, complete). For requests `methods` is None; for
    responses the methods in order, which say which of them have no body."""
    at, answered = 0, 0
    while at < len(data):
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or (methods is None and not may_be_request(data, at)):
            return
        start, _, block = wire_text(data[at:end]).partition("\r\n")
        headers = read_fields(block)
        at = end + 4
        body, trailers, complete, tunnel = b"", [], True, False
        lengths = all_values(headers, "content-length")
        chunked = all_values(headers, "transfer-encoding") == ["chunked"]
        has_body = chunked or bool(lengths)
        if methods is not None:
            status = int(start.split()[1])
            interim = status < 200 and status != 101
            method = methods[answered] if answered < len(methods) else None
            answered += not interim
            tunnel = status == 101 or (method == "CONNECT" and status < 300)
            has_body = not (method == "HEAD" or status < 200 or status in (204, 304) or tunnel)
        if has_body and chunked:
            body, trailers, at, complete = read_chunks(data, at)
        elif has_body and lengths:
            body = data[at:at + int(lengths[0])]
            at += len(body)
            complete = len(body) == int(lengths[0])
        elif has_body:
            body, at = data[at:], len(data)
        yield start, headers, trailers, body, complete
        if tunnel:
            return


def may_be_request(data, at):
    """Whether a request line ends the first line there: the bytes of a tunnel do not look so."""
    return re.match(rb"[A-Z]+ [^ \r\n]+ HTTP/1\.[01]\r\n", data[at:]) is not None


def without_tunnel(requests, responses):
    """The requests before their connection became a tunnel: one for each response, if it did."""
    final = [start.split()[1] for start, *_ in responses]
    final = [status for status in final if status >= "200" or status == "101"]
    if not final or len(final) > len(requests):
        return requests
    last_is_connect = requests[len(final) - 1][0].startswith("CONNECT ")
    tunnel = final[-1] == "101" or (last_is_connect and final[-1].startswith("2"))
    return requests[:len(final)] if tunnel else requests


def messages_of(capture):
    result = []
    for server, client, from_client, from_server in streams(capture):
        requests = list(read_messages(from_client, None))
        methods = [message[0].split()[0] for message in requests]
        responses = list(read_messages(from_server, methods))
        requests = without_tunnel(requests, responses)
        for direction, found in (("request", requests), ("response", responses)):
            result += [Message(server, client, direction, *message) for message in found]
    return result


def check_with_dissector(capture, messages):
    """Start lines as tshark's dissector sees them, against ours; both without order."""
    text = run_tshark(capture, "-Y", "http.request || http.response", "-T", "fields",
                      "-e", "http.request.line", "-e", "http.request.method",
                      "-e", "http.response.code", "-E", "occurrence=a", "-E", "aggregator=|")
    theirs = collections.Counter()
    for line in text.splitlines():
        _, methods, codes = line.split("\t")
        theirs.update(value for value in (methods + "|" + codes).split("|") if value)
    ours = collections.Counter(
        m.start.split()[0 if m.direction == "request" else 1] for m in messages)
    if theirs != ours:
        print(f"note: tshark's HTTP dissector differs: only there {dict(theirs - ours)}, "
              f"only here {dict(ours - theirs)}")


def count_headers(headers):
    return sum(len(v) if isinstance(v, list) else 1 for v in headers.values())


def lower_fields(fields):
    result = {}
    for name, value in fields:
        result.setdefault(name.lower(), []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in result.items()}


def line_start(line):
    """The start line in the parts that a line and a message share."""
    if line["direction"] == "request":
        return f"{line['method']} {line['path']} HTTP/{line['httpVersion']}"
    return f"HTTP/{line['httpVersion']} {line['statusCode']} {line['statusText']}".rstrip()


def line_body(line):
    """The body as bytes, or None when the line leaves it out."""
    if "body" not in line:
        return None
    if line.get("bodyEncoding") == "base64":
        return base64.b64decode(line["body"])
    if "body" in line.get("latin1", []):
        return line["body"].encode("latin-1")
    return line["body"].encode()


def sha256(body):
    return hashlib.sha256(body).hexdigest()[:16]


def body_size(message):
    """The size of the body as its headers announce it; without that, what came."""
    lengths = all_values(message.headers, "content-length")
    chunked = bool(all_values(message.headers, "transfer-encoding"))
    announced = int(lengths[0]) if lengths and not chunked and not message.complete else 0
    return max(announced, len(message.body))


def part_differences(message, line):
    """What is wrong with the part of a body that an incomplete line has."""
    gaps = line.get("bodyGaps", [])
    rest, at = b"", 0
    for offset, length in gaps:
        rest += message.body[at:offset]
        at = offset + length
    rest += message.body[at:]
    body = line_body(line)
    if body is not None and not rest.startswith(body):
        yield f"{len(body)} bytes of body that are not those around the gaps {gaps}"
    size = body_size(message)
    if line["bodySize"] > size:
        yield f"bodySize {line['bodySize']}, more than {size}"
    if sum(length for _, length in gaps) > line.get("missingBytes", 0):
        yield f"missingBytes {line.get('missingBytes')}, less than the gaps {gaps}"


def differences(message, line):
    """What a line has otherwise than the message; nothing when it is right."""
    if line_start(line) != message.start.rstrip():
        yield f"start line {line_start(line)!r}, not {message.start!r}"
    if (line["headers"] != lower_fields(message.headers)
            and not line.get("headersIncomplete")):
        yield f"{count_headers(line['headers'])} headers, not {len(message.headers)}, or other ones"
    if line.get("trailers", {}) != lower_fields(message.trailers) and "incomplete" not in line:
        yield f"trailers {line.get('trailers')}, not {message.trailers}"
    if "incomplete" in line:
        yield from part_differences(message, line)
        return
    if not message.complete:
        yield "claims to be complete"
    if line["bodySize"] != len(message.body):
        yield f"bodySize {line['bodySize']}, not {len(message.body)}"
    body = line_body(line)
    if body is not None and not line.get("bodyTruncated") and body != message.body:
        yield f"body {sha256(body)} ({len(body)} bytes), not {sha256(message.body)}"


def endpoint(value):
    return value["ip"], value["port"]


def connection_key(line):
    return frozenset((endpoint(line["receiver"]), endpoint(line["destination"])))


def by_connection(items, key):
    groups = collections.defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def message_order(line):
    return line["timestamp"], line.get("exchange", 0)


def group_all(messages, lines):
    """Pairs of lists: the messages and the lines of one direction of one connection, in order."""
    expected = by_connection(
        messages, lambda m: (frozenset((m.server, m.client)), m.direction))
    found = by_connection(lines, lambda l: (connection_key(l), l["direction"]))
    for key in sorted(expected.keys() | found.keys(), key=lambda k: (sorted(k[0]), k[1])):
        name = " - ".join(f"{ip}:{port}" for ip, port in sorted(key[0])) + " " + key[1]
        yield name, expected.get(key, []), sorted(found.get(key, []), key=message_order)


def exchanges(messages):
    """The number of each message's exchange: interim responses do not use it up."""
    number = 0
    for message in messages:
        yield number
        part = message.start.split()[1]
        number += message.direction == "request" or part >= "200" or part == "101"


def compare_exactly(messages, lines):
    count = 0
    for name, expected, found in group_all(messages, lines):
        numbers = list(exchanges(expected))
        for i in range(max(len(expected), len(found))):
            where = f"{name} {i}"
            if i >= len(found):
                problems = [f"missing: {expected[i].start}"]
            elif i >= len(expected):
                problems = [f"too much: {line_start(found[i])}"]
            else:
                problems = list(differences(expected[i], found[i]))
                if expected[i].complete and "incomplete" in found[i]:
                    problems.append(f"incomplete: {found[i]['incomplete']}")
                if found[i].get("exchange") != numbers[i]:
                    problems.append(f"exchange {found[i].get('exchange')}, not {numbers[i]}")
            for problem in problems:
                print(f"{where}: {problem}")
            count += len(problems)
    return count


def compare_with_whole(messages, lines):
    count = 0
    for name, expected, found in group_all(messages, lines):
        left = list(expected)
        for line in found:
            same_start = [m for m in left if m.start.rstrip() == line_start(line)]
            right = [m for m in same_start if not list(differences(m, line))]
            if right:
                left.remove(right[0])
                continue
            count += 1
            why = list(differences(same_start[0], line)) if same_start else ["no such message"]
            print(f"{name}: {line_start(line)}: {'; '.join(why)}")
        for message in left:
            print(f"{name}: without a line: {message.start}")
        cut = [line for line in found if "incomplete" in line]
        print(f"{name}: {len(found) - len(cut)} complete, {len(cut)} incomplete, "
              f"{len(left)} without a line, of {len(expected)}")
    return count


def compare_all(program):
    """The number of captures of pcaps/ with differences."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "pcaps"
    lossy = ("loss_", "midstream", "snaplen")
    wrong = 0
    for capture in sorted([*folder.glob("*.pcap"), *folder.glob("*.pcapng")]):
        print(f"== {capture.name}")
        is_pop3 = capture.name.startswith("pop3")
        protocols = "http,pop3" if is_pop3 else "http"
        done = subprocess.run(
            [program, "-r", capture, "--format", "ndjson", "--binary-body", "base64",
             "--max-body-size", "16M", "--protocols", protocols], capture_output=True, text=True,
            check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if is_pop3:
            count = pop3_reference.compare(streams(capture), lines)
        elif capture.name.startswith(lossy):
            count = compare_with_whole(messages_of(folder / "download.pcap"), lines)
        else:
            count = compare_exactly(messages_of(capture), lines)
        if done.returncode != 0:
            print(f"exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        print(f"{len(lines)} lines, {count} differences")
        wrong += count != 0 or done.returncode != 0
    return wrong


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--whole")
    parser.add_argument("--all", metavar="TCP_SNIFFER")
    parser.add_argument("capture", nargs="?")
    parser.add_argument("lines", nargs="?")
    arguments = parser.parse_args()
    if arguments.all:
        sys.exit(compare_all(arguments.all) != 0)
    if not arguments.capture:
        parser.error("needs a capture or --all")

    try:
        messages = messages_of(arguments.whole or arguments.capture)
    except (ValueError, IndexError):
        sys.exit(f"{arguments.capture}: bytes are missing; needs --whole, see --help")
    if not arguments.lines:
        for m in messages:
            print(f"{m.client[0]}:{m.client[1]} {m.server[0]}:{m.server[1]} {m.direction:8} "
                  f"headers={len(m.headers)} trailers={len(m.trailers)} body={len(m.body)} "
                  f"sha256={sha256(m.body)} {'' if m.complete else 'INCOMPLETE '}{m.start}")
        requests = sum(m.direction == "request" for m in messages)
        print(f"{requests} requests, {len(messages) - requests} responses")
        check_with_dissector(arguments.capture, messages)
        return
    with open(arguments.lines, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    compare = compare_with_whole if arguments.whole else compare_exactly
    count = compare(messages, lines)
    print(f"{len(messages)} messages, {len(lines)} lines, {count} differences")
    sys.exit(count != 0)


main()
