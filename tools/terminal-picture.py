#!/usr/bin/env python3
"""Draws docs/terminal.svg: what tcp-sniffer shows on a terminal, from a real run on one.

    tools/terminal-picture.py PROGRAM            writes docs/terminal.svg
    tools/terminal-picture.py PROGRAM --check    fails when it would be another
"""

import html
import os
import pty
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = os.path.join(ROOT, "docs", "terminal.svg")
# Events carry the time of the run, so they are left out.
ARGUMENTS = ["-r", "pcaps/site_and_api.pcap", "pcaps/loss_in_body.pcap", "--log-level", "error"]
COLOURS = {"31": "#f87171", "32": "#4ade80", "33": "#facc15", "36": "#22d3ee"}
PLAIN, BACKGROUND = "#e5e7eb", "#111827"
CHARACTER_WIDTH, LINE_HEIGHT, FONT_SIZE, MARGIN = 7.8, 19, 13, 14


def shown(program):
    """What the program writes to a terminal, until it ends."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm-256color"
        os.execv(program, ["tcp-sniffer", *ARGUMENTS])
    output = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux reports that the other end has closed
            break
        if not part:
            break
        output += part
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        sys.exit(f"{program} ended with {status}:\n{output.decode(errors='replace')}")
    return output.decode().replace("\r\n", "\n")


def spans(line):
    """The line's parts of one colour, as (colour, text)."""
    colour = PLAIN
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            colour = COLOURS.get(part[2:-1], PLAIN)
        elif part:
            yield colour, part


def svg(lines):
    columns = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width = round(2 * MARGIN + columns * CHARACTER_WIDTH)
    height = 2 * MARGIN + len(lines) * LINE_HEIGHT
    rows = []
    for number, line in enumerate(lines):
        text = "".join(f'<tspan fill="{colour}">{html.escape(part, quote=False)}</tspan>'
                       for colour, part in spans(line))
        y = MARGIN + number * LINE_HEIGHT + FONT_SIZE
        rows.append(f'<text x="{MARGIN}" y="{y}">{text}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="monospace" font-size="{FONT_SIZE}" '
            f'style="white-space: pre" xml:space="preserve">\n'
            f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>\n'
            + "\n".join(rows) + "\n</svg>\n")


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--check"]):
        sys.exit(__doc__)
    command = f"$ tcp-sniffer {' '.join(ARGUMENTS)}"
    picture = svg([command, *shown(os.path.abspath(sys.argv[1])).splitlines()])
    if sys.argv[2:] == ["--check"]:
        with open(PICTURE, encoding="utf-8") as file:
            if file.read() != picture:
                sys.exit("docs/terminal.svg is not what the program shows: run "
                         "tools/terminal-picture.py build/release/tcp-sniffer")
        return
    with open(PICTURE, "w", encoding="utf-8") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
