#!/usr/bin/env python3
"""Start lines of a capture as tcp-sniffer and tshark's HTTP dissector see them, side by side.

  beside_tshark.py TCP_SNIFFER CAPTURE... [--show N]

Compared without order, connection by connection: a request is its method and target, a response its
status. Prints for each capture how many both have, how many only one has, and up to N of those;
lines of tcp-sniffer that are incomplete or were found after a loss are counted apart. For captures
of any size, where reference.py, which reads whole bodies, takes too long.
"""
import argparse
import collections
import json
import subprocess
import sys

PORTS = (80, 3000, 3128, 8000, 8080, 8081)
FIELDS = ["ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport",
          "http.request.method", "http.request.uri", "http.response.code"]
SEPARATOR = "\x1f"


def ask_tshark(capture):
    """(client, server, start) of each message, counted."""
    command = ["tshark", "-n", "-r", capture, "-o", "tcp.reassemble_out_of_order:TRUE",
               "-o", "ip.defragment:TRUE", "-o", "tcp.check_checksum:FALSE",
               "-o", "http.decompress_body:FALSE", "-Y", "http.request || http.response",
               "-T", "fields", "-E", "occurrence=a", "-E", f"aggregator={SEPARATOR}"]
    for port in PORTS:
        command += ["-d", f"tcp.port=={port},http"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"tshark on {capture}: {done.stderr.strip()}")
    messages = collections.Counter()
    for row in done.stdout.splitlines():
        *ends, methods, targets, codes = row.split("\t")
        source = (ends[0] or ends[1], ends[2])
        destination = (ends[3] or ends[4], ends[5])
        methods, targets = methods.split(SEPARATOR), targets.split(SEPARATOR)
        for i, method in enumerate(filter(None, methods)):
            target = targets[i] if i < len(targets) else "?"
            messages[source, destination, f"{method} {target}"] += 1
        for code in filter(None, codes.split(SEPARATOR)):
            messages[destination, source, code] += 1
    return messages


def ask_tcp_sniffer(program, capture):
    """The same, and how many of them are not whole, or were found by searching."""
    done = subprocess.run(
        [program, "-r", capture, "--format", "ndjson", "--max-body-size", "0", "--shards", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} on {capture}: exit code {done.returncode}")
    messages, kinds = collections.Counter(), collections.Counter()
    for text in done.stdout.splitlines():
        line = json.loads(text)
        server, client = ((line[end]["ip"], str(line[end]["port"]))
                          for end in ("receiver", "destination"))
        start = (f"{line['method']} {line['path']}" if line["direction"] == "request"
                 else str(line["statusCode"]))
        messages[client, server, start] += 1
        kinds["incomplete" if "incomplete" in line
              else "found by searching" if "afterGap" in line else "whole"] += 1
    return messages, kinds


def show(name, messages, limit):
    for (client, server, start), count in sorted(messages.items())[:limit]:
        print(f"  only {name}: {':'.join(client)} - {':'.join(server)} {start[:90]} ({count})")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("captures", nargs="+")
    parser.add_argument("--show", type=int, default=5)
    arguments = parser.parse_args()
    for capture in arguments.captures:
        ours, kinds = ask_tcp_sniffer(arguments.program, capture)
        theirs = ask_tshark(capture)
        print(f"{capture.rpartition('/')[2]}: {(ours & theirs).total()} both, "
              f"{(ours - theirs).total()} only tcp-sniffer, {(theirs - ours).total()} only tshark; "
              f"tcp-sniffer: " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
        show("tcp-sniffer", ours - theirs, arguments.show)
        show("tshark", theirs - ours, arguments.show)


main()
