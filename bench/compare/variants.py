"""What is compared: each variant is a program with its settings, on a workload's capture."""

import os
import shutil
from dataclasses import dataclass, field

from measure import Command

SHARDS = ["0", "1", "2", "default"]


@dataclass
class Variant:
    program: str
    settings: str
    command: Command
    ours: bool = False
    piped: bool = False
    counts: bool = True  # one line a message on standard output
    sliced: bool = False  # runs on the small capture, times are scaled
    clean_up: str | None = None  # a folder the program fills
    shards: str = ""
    samples: list = field(default_factory=list)
    counted: object = None


@dataclass
class Programs:
    sniffer: str | None
    loop: str
    libnids: str | None
    libtins: str | None
    tshark: str | None
    tcpflow: str | None


def find_programs(build):
    def built(*parts):
        path = os.path.join(build, *parts)
        return path if os.access(path, os.X_OK) else None

    return Programs(
        sniffer=built("tcp-sniffer"),
        loop=built("bench", "peers", "pcap_loop"),
        libnids=built("bench", "peers", "peer_libnids"),
        libtins=built("bench", "peers", "peer_libtins"),
        tshark=shutil.which("tshark"),
        tcpflow=shutil.which("tcpflow"),
    )


def loop(programs, capture):
    return Variant("libpcap loop", "", Command([programs.loop, capture]), counts=False)


def _sniffer(programs, group, shards, extra, source, **more):
    arguments = [programs.sniffer, *source, *extra]
    if shards != "default":
        arguments += ["--shards", shards]
    command = Command(arguments, more.pop("stdin", None), more.pop("feed", False))
    return Variant("tcp-sniffer", group, command, ours=True, shards=shards, **more)


def ours(programs, capture):
    if not programs.sniffer:
        return []
    headers, bodies = ["--max-body-size", "0"], []
    variants = []
    file, stdin = ["-r", capture], ["-r", "-"]
    for group, extra, source, more in (
            ("headers", headers, file, {}),
            ("bodies", bodies, file, {}),
            ("headers, to a pipe", headers, file, {"piped": True}),
            ("bodies, to a pipe", bodies, file, {"piped": True}),
            ("headers, from standard input", headers, stdin, {"stdin": capture}),
            ("headers, from a pipe", headers, stdin, {"stdin": capture, "feed": True})):
        variants += [_sniffer(programs, group, shards, extra, source, **more) for shards in SHARDS]
    return variants


def peers(programs, capture):
    variants = []
    if programs.libnids:
        variants.append(Variant("libnids + llhttp", "headers",
                                Command([programs.libnids, capture])))
    if programs.libtins:
        variants.append(Variant("libtins + llhttp", "headers",
                                Command([programs.libtins, capture])))
    return variants


def slow_peers(programs, slice_capture, scratch):
    variants = []
    if programs.tshark:
        fields = ["http.request.method", "http.request.uri", "http.request.line",
                  "http.response.code", "http.response.line"]
        arguments = [programs.tshark, "-n", "-r", slice_capture, "-Y", "http", "-T", "fields"]
        for name in fields:
            arguments += ["-e", name]
        variants.append(Variant("tshark", "headers", Command(arguments), sliced=True))
    if programs.tcpflow:
        folder = os.path.join(scratch, "tcpflow")
        arguments = [programs.tcpflow, "-a", "-o", folder, "-r", slice_capture]
        variants.append(Variant("tcpflow", "bodies, into files", Command(arguments), counts=False,
                                sliced=True, clean_up=folder))
    return variants


def idle_ours(programs, capture, connections):
    if not programs.sniffer:
        return []
    room = ["--max-concurrent-connections", str(connections + connections // 10 + 1)]
    return [_sniffer(programs, "bodies", shards, room, ["-r", capture])
            for shards in ("0", "default")]


def idle_peers(programs, capture, connections):
    found = peers(programs, capture)
    for variant in found:
        if variant.command.arguments[0] == programs.libnids:
            variant.command.arguments.append(str(connections + 1))
    return found
