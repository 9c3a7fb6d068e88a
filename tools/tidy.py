#!/usr/bin/env python3
"""Checks src/ with clang-tidy, as .clang-tidy says: tools/tidy.py [-p BUILD] [FOLDER...]

BUILD is a build folder in which tcp-sniffer was built, build/release by default: its
compile_commands.json has the commands. FOLDER is one of src/, such as core/tcp; without any, all
are checked. Most of the time goes into headers, so the files of a folder are checked as one. If
that does not compile, because two of them use the same name, each is checked alone.

Versions of clang-tidy find different things, so only version 14 counts. Without it the exit code
is 77, a skipped test; 1 where TCP_SNIFFER_FAIL_ON_SKIP is set, as in CI.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(ROOT, "src")
# Their files are known to use the same names in unnamed namespaces: checked alone from the start.
ALONE = {"core/http", "core/line", "core/net", "core/redaction"}


def find_clang_tidy():
    for name in ("clang-tidy-14", "clang-tidy"):
        path = shutil.which(name)
        if path and "version 14." in subprocess.run(
                [path, "--version"], capture_output=True, text=True, check=False).stdout:
            return path
    print("clang-tidy 14 is not installed: tools/install-packages.sh test", file=sys.stderr)
    sys.exit(1 if os.environ.get("TCP_SNIFFER_FAIL_ON_SKIP") else 77)


def sources_of(commands):
    """(file, its compile command) of each file in src/. CMake compiles some as one, with a file
    that includes them."""
    for entry in commands:
        files = [entry["file"]]
        if "/Unity/" in entry["file"]:
            with open(entry["file"], encoding="utf-8") as unity:
                files = re.findall(r'#include "([^"]*)"', unity.read())
        for file in files:
            if file.startswith(SOURCES + os.sep):
                yield file, entry


def units_of(build, folders):
    """What clang-tidy is run on, the largest first: lists of compile commands, each of one file in
    src/, or of one that includes all of a folder, before those that it includes."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)

    def command(source, entry):
        # Without a launcher, such as ccache, which clang-tidy takes for the compiler.
        words = re.sub(r"^\S*cache\s+", "", entry["command"])
        return {"directory": entry["directory"], "file": source,
                "command": words.replace(entry["file"], source)}

    groups = {}
    for source, entry in sorted(sources_of(commands), key=lambda pair: pair[0]):
        name = os.path.relpath(os.path.splitext(source)[0], SOURCES)
        folder = os.path.dirname(name)
        if not folders or folder in folders:
            groups.setdefault(name if folder in ALONE else folder, []).append((source, entry))
    units = []
    for name, members in groups.items():
        unit = [command(source, entry) for source, entry in members]
        if len(unit) > 1:
            combined = os.path.join(build, "tidy", name.replace(os.sep, "_") + ".cc")
            with open(combined, "w", encoding="utf-8") as file:
                file.writelines(f'#include "{source}"\n' for source, _ in members)
            unit.insert(0, command(combined, members[0][1]))
        units.append(unit)
    return sorted(units, key=len, reverse=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-p", dest="build", default=os.path.join(ROOT, "build/release"))
    arguments.add_argument("folders", nargs="*")
    options = arguments.parse_args()
    clang_tidy = find_clang_tidy()
    build = os.path.abspath(options.build)
    os.makedirs(os.path.join(build, "tidy"), exist_ok=True)
    units = units_of(build, {folder.rstrip("/").removeprefix("src/")
                             for folder in options.folders})
    if not units:
        sys.exit("no file to check")
    with open(os.path.join(build, "tidy/compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(sum(units, []), file)

    def faults_of(file):
        # bugprone-suspicious-include is about files that include .cc files.
        result = subprocess.run(
            [clang_tidy, "--quiet", "-p", os.path.join(build, "tidy"),
             "--config-file=" + os.path.join(ROOT, ".clang-tidy"),
             "--checks=-bugprone-suspicious-include", file],
            capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return ""
        return result.stdout.strip() or result.stderr.strip() or f"{file}: clang-tidy failed"

    def check(unit):
        faults = faults_of(unit[0]["file"])
        if len(unit) == 1 or "[clang-diagnostic-error]" not in faults:
            return [faults]
        return [faults_of(command["file"]) for command in unit[1:]]

    found = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for faults in pool.map(check, units):
            # A fault of a header comes up in each file that includes it.
            for text in set(faults) - found - {""}:
                found.add(text)
                print(text, flush=True)
    sys.exit(1 if found else 0)


main()
