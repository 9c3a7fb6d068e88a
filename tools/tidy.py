#!/usr/bin/env python3
"""Checks src/ with clang-tidy, as .clang-tidy says: tools/tidy.py [-p BUILD] [-j JOBS] [FOLDER...]

BUILD is a build folder in which tcp-sniffer was built, build/release by default: its
compile_commands.json has the commands, so what is compiled as one file is checked as one. FOLDER is
one of src/, such as core/tcp; without any, all are checked. JOBS run at once.

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


def find_clang_tidy():
    for name in ("clang-tidy-14", "clang-tidy"):
        path = shutil.which(name)
        if path and "version 14." in subprocess.run(
                [path, "--version"], capture_output=True, text=True, check=False).stdout:
            return path
    print("clang-tidy 14 is not installed: tools/install-packages.sh test", file=sys.stderr)
    sys.exit(1 if os.environ.get("TCP_SNIFFER_FAIL_ON_SKIP") else 77)


def sources_of(entry):
    """The files in src/ that a compile command compiles: one, or those that a file of CMake's
    includes."""
    files = [entry["file"]]
    if "/Unity/" in entry["file"]:
        with open(entry["file"], encoding="utf-8") as unity:
            files = re.findall(r'#include "([^"]*)"', unity.read())
    return [file for file in files if file.startswith(SOURCES + os.sep)]


def commands_of(build, folders):
    """The compile commands with a file in `folders` of src/, or in any; the longest to check first."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    chosen = []
    for entry in commands:
        sources = sources_of(entry)
        found = {os.path.relpath(os.path.dirname(source), SOURCES) for source in sources}
        if sources and (not folders or folders & found):
            # Without a launcher, such as ccache, which clang-tidy takes for the compiler.
            entry["command"] = re.sub(r"^\S*cache\s+", "", entry["command"])
            chosen.append((sum(os.path.getsize(source) for source in sources), entry))
    return [entry for _, entry in sorted(chosen, key=lambda pair: pair[0], reverse=True)]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-p", dest="build", default=os.path.join(ROOT, "build/release"))
    arguments.add_argument("-j", dest="jobs", type=int, default=os.cpu_count())
    arguments.add_argument("folders", nargs="*")
    options = arguments.parse_args()
    clang_tidy = find_clang_tidy()
    build = os.path.abspath(options.build)
    os.makedirs(os.path.join(build, "tidy"), exist_ok=True)
    commands = commands_of(build, {folder.rstrip("/").removeprefix("src/")
                                   for folder in options.folders})
    if not commands:
        sys.exit("no file to check")
    with open(os.path.join(build, "tidy/compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(commands, file)

    def check(entry):
        # bugprone-suspicious-include is about files that include .cc files.
        result = subprocess.run(
            [clang_tidy, "--quiet", "-p", os.path.join(build, "tidy"),
             "--config-file=" + os.path.join(ROOT, ".clang-tidy"),
             "--checks=-bugprone-suspicious-include", entry["file"]],
            capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return ""
        return result.stdout.strip() or result.stderr.strip() or f"{entry['file']}: clang-tidy failed"

    found = set()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for faults in pool.map(check, commands):
            # A fault of a header comes up in each file that includes it.
            if faults and faults not in found:
                found.add(faults)
                print(faults, flush=True)
    sys.exit(1 if found else 0)


main()
