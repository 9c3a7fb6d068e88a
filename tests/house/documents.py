#!/usr/bin/env python3
"""Holds the documents to the program: documents.py ROOT PROGRAM

Runs each command of the `sh` blocks in README.md, docs/*.md and tools/ts/README.md in a folder that
looks like the repository, with PROGRAM built. A command fails the test when it ends with an error,
when it has a flag that PROGRAM does not know, or when the document shows another output after it.
Links must lead somewhere, files that are named must be there, and the README of each folder of
sources must name its files. Only what NOT_RUN lists is left out, and what is listed there must occur.
"""

import fnmatch
import glob
import os
import pty
import re
import subprocess
import sys
import tempfile

NOT_RUN = {  # command: why
    "tools/test.sh": "it runs this test",
    "cmake --build --preset release --target man": "it builds; this test runs on what it built",
    "(cd build/release && cpack -G DEB)": "packaging_test makes the package",
    "cmake --build --preset release --target man && "
    "sudo cmake --install build/release --prefix /usr":
        "it installs into the system; packaging_test installs into a folder",
    "sudo setcap cap_net_raw+ep build/release/tcp-sniffer": "it gives the program a right",
    "build/release/tcp-sniffer -i lo -p 8080 --check": "it needs a right",
    "build/release/tcp-sniffer -i lo -p 8080": "it needs a right, and a signal to end",
    "build/release/tcp-sniffer -i eth0 -p 80,8080 --check": "it needs an interface eth0",
    "build/release/tcp-sniffer -i eth0 -p 80,8080": "it needs an interface eth0",
    "build/release/tcp-sniffer --follow -r /var/captures": "it needs a signal to end",
    "build/release/tcp-sniffer --follow -r '/var/captures/eth0-*.pcap'": "it needs a signal to end",
    "build/release/tcp-sniffer --follow -r tcp://sensor-7:57012": "it needs a peer",
    "build/release/tcp-sniffer --follow -r tcp-listen://0.0.0.0:57012": "it needs a peer",
    "tools/install-packages.sh typescript": "it installs into the system",
    "(cd tools/ts && npm ci && npm run build)": "suite.typescript builds the package",
    "tools/kafka/cluster.py --topic http sh -c 'build/release/tcp-sniffer -r pcaps/posts.pcap "
    "--output kafka://$BROKERS/http && kcat -q -b $BROKERS -C -t http -e'":
        "it fetches Kafka; kafka_faults starts brokers in the same way",
    "node tools/ts/examples/print.mjs pcaps/site_and_api.pcap":
        "suite.typescript runs the same program",
}
README_LINES_MAX = 200
# Words for documents that the repository does not have.
FOREIGN = re.compile(r"\b(CONTRACT|DESIGN|netcap)\b")

faults = []


def fault(document, text):
    faults.append(f"{document}: {text}")


def read(root, document):
    with open(os.path.join(root, document), encoding="utf-8") as file:
        return file.read()


def fences(text):
    """Each fenced block as (language, lines, follows): `follows` when only empty lines lie between
    it and the block before."""
    language, lines, between = None, [], ["text"]
    for line in text.splitlines():
        if language is None and line.startswith("```"):
            language, lines = line[3:].strip(), []
        elif language is not None and line == "```":
            yield language, lines, not any(between)
            language, between = None, []
        elif language is not None:
            lines.append(line)
        else:
            between.append(line.strip())


def commands(lines):
    """The commands of a block, without comments."""
    text = "\n".join(lines).replace("\\\n", " ")
    return [command for line in text.splitlines()
            if (command := re.sub(r"(^|\s+)#.*$", "", line).strip())]


def known_flags(program):
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    flags = {"--help-keys-markdown", "-vv"}
    for optional, name in re.findall(r"--(\[no-\])?([a-z][a-z-]*)", text):
        flags |= {f"--{name}", f"--no-{name}"} if optional else {f"--{name}"}
    return flags | {f"-{letter}" for letter in re.findall(r"^\s+-(\w), --", text, re.MULTILINE)}


def package_flags(root):
    """The flags of the package's program, which passes all others on."""
    source = "tools/ts/src/cli-arguments.ts"
    if not os.path.exists(os.path.join(root, source)):
        return set()
    text = read(root, source)
    names = re.search(r"const ownFlags[^=]*= \[([^]]*)\]", text)[1]
    return set(re.findall(r"'(--[a-z-]+)'", names))


def check_flags(document, words, flags):
    for word in words:
        if re.match(r"--?[a-zA-Z]", word) and word.split("=")[0] not in flags:
            fault(document, f"no such flag: {word}")


def flags_of(command):
    """The words behind each call of the program."""
    for part in re.split(r"\||&&|;|\)", command):
        match = re.search(r"(?:^|[\s/])(?:tcp-sniffer|tools/run\.sh)\s+(.*)", part)
        if match and not re.search(r"\bsetcap\b|\bsystemctl\b|\bdocker\b", part):
            yield from match[1].split()


def like_the_repository(root, program, folder):
    """Links to all that the repository has, with a build that is done and nothing to install."""
    for name in os.listdir(root):
        if name not in ("build", "tools", ".git"):
            os.symlink(os.path.join(root, name), os.path.join(folder, name))
    os.makedirs(os.path.join(folder, "build", "release"))
    os.symlink(program, os.path.join(folder, "build", "release", "tcp-sniffer"))
    os.mkdir(os.path.join(folder, "tools"))
    for name in os.listdir(os.path.join(root, "tools")):
        path = os.path.join(folder, "tools", name)
        if name in ("build.sh", "install-packages.sh"):
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n")
            os.chmod(path, 0o755)
        else:
            os.symlink(os.path.join(root, "tools", name), path)


def run(command, folder, on_a_terminal):
    """(exit code, standard output, standard error)."""
    arguments = ["bash", "-e", "-o", "pipefail", "-c", command]
    os.environ["TZ"] = "UTC"  # pretty lines are in local time
    if not on_a_terminal:
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr
    person, program = pty.openpty()
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=program,
                                 stderr=errors)
        os.close(program)
        output = b""
        try:
            while part := os.read(person, 65536):
                output += part
        except OSError:  # how Linux reports that the other end has closed
            pass
        os.close(person)
        code = child.wait(timeout=120)
        errors.seek(0)
        text = re.sub(r"\x1b\[[0-9;]*m", "", output.decode()).replace("\r\n", "\n")
        return code, text, errors.read()


def check_commands(root, program, document, flags, seen):
    with tempfile.TemporaryDirectory(prefix="documents-") as folder:
        like_the_repository(root, program, folder)
        blocks = list(fences(read(root, document)))
        for number, (language, lines, _) in enumerate(blocks):
            if language != "sh":
                continue
            following = blocks[number + 1] if number + 1 < len(blocks) else ("none", [], False)
            # What the document says that the last command writes.
            shown = following if following[0] in ("", "json") and following[2] else None
            listed = commands(lines)
            for command in listed:
                seen.add(command)
                check_flags(document, flags_of(command), flags)
                if command in NOT_RUN:
                    continue
                wanted = shown if command == listed[-1] else None
                code, output, errors = run(command, folder, wanted is not None and wanted[0] == "")
                if code != 0:
                    fault(document, f"ends with {code}: {command}\n{errors[-500:]}")
                elif wanted and output.splitlines()[:len(wanted[1])] != wanted[1]:
                    fault(document, "writes something else than is shown: "
                          f"{command}\n{output[:2000]}")


def without_fences(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text):
    """The names that links may have: of headings, as GitHub makes them, and those set by hand."""
    headings = re.findall(r"^#+ (.*)$", without_fences(text), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    names = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}
    return names | set(re.findall(r'<a id="([^"]+)">', text))


def check_links(root, document):
    text = read(root, document)
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
        if not os.path.exists(os.path.join(root, full)):
            fault(document, f"leads nowhere: {target}")
        elif anchor and anchor not in anchors(read(root, full)):
            fault(document, f"no such heading: {target}")


def check_programs(root):
    """The README's TypeScript is the package's, which the package's own test runs."""
    package = [(language, lines) for language, lines, _ in fences(read(root, "tools/ts/README.md"))]
    for language, lines, _ in fences(read(root, "README.md")):
        if language in ("js", "ts") and (language, lines) not in package:
            fault("README.md", f"not in tools/ts/README.md: {lines[0]}")


def check_folders(root):
    """The README of a folder of sources says of each of its files what it is for, and names no
    other."""
    documents = glob.glob("src/**/README.md", root_dir=root, recursive=True)
    for document in sorted(documents) + ["tools/ts/src/README.md"]:
        ends = (".ts",) if document.startswith("tools/ts/") else (".h", ".cc")
        folder = os.path.join(root, os.path.dirname(document))
        files = [name for name in os.listdir(folder) if name.endswith(ends)]
        rows = re.findall(r"^\|([^|]*)\|", read(root, document), re.MULTILINE)
        named = re.findall(r"`([^`]+)`", " ".join(rows) or read(root, document))
        patterns = [name if name.endswith(ends) else f"{name}.*" for name in named]
        for file in sorted(files):
            if not any(fnmatch.fnmatch(file, pattern) for pattern in patterns):
                fault(document, f"does not say what {file} is for")
        for name, pattern in zip(named, patterns):
            if not fnmatch.filter(files, pattern):
                fault(document, f"names {name}, which is not there")


def check_names(root, document):
    """Files that a document names are there; names in capitals stand for any."""
    places = ("", "src", "src/core", "tests")
    for name in re.findall(r"`([\w.-]+/[\w./*-]*\.(?:h|cc|py|sh|md|txt|json))`", read(root, document)):
        if not re.search(r"NAME|FOLDER", name) and not any(
                glob.glob(os.path.join(root, place, name)) for place in places):
            fault(document, f"names {name}, which is not there")


def main():
    root, program = (os.path.abspath(path) for path in sys.argv[1:])
    shown = ["README.md", "tools/ts/README.md"]
    shown += sorted(glob.glob("docs/*.md", root_dir=root))
    others = [name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
              if os.path.exists(os.path.join(root, name))]
    engine_flags, seen = known_flags(program), set()
    for document in shown:
        of_package = document == "tools/ts/README.md"
        flags = engine_flags | package_flags(root) if of_package else engine_flags
        check_commands(root, program, document, flags, seen)
        for span in re.findall(r"`([^`\n]+)`", read(root, document)):
            if span.startswith("--"):
                check_flags(document, span.split(), flags)
            check_flags(document, flags_of(span), flags)
    check_folders(root)
    for document in shown + others:
        check_links(root, document)
        if document not in ("tools/ts/README.md", "CHANGELOG.md"):  # of a package, and of old names
            check_names(root, document)
        for word in FOREIGN.findall(read(root, document)):
            fault(document, f"names {word}, which is not in the repository")
    check_programs(root)
    lines = len(read(root, "README.md").splitlines())
    if lines > README_LINES_MAX:
        fault("README.md", f"has {lines} lines, more than {README_LINES_MAX}")
    for command in NOT_RUN.keys() - seen:
        fault("tests/house/documents.py", f"no document has it any more: {command}")
    print("\n".join(faults) or f"{len(seen)} commands in {len(shown)} documents")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
