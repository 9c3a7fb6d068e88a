"""Turns measurements into a Markdown table, an SVG chart and a JSON file."""

import html
import json
import os
import platform
import re
import subprocess
from statistics import median



def first_line(arguments):
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    text = (done.stdout or done.stderr).strip().splitlines()
    return re.sub(r" \(Git [^)]*\)", "", text[0]).rstrip(".") if text else "unknown"


def machine(programs):
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as cpuinfo:
        for line in cpuinfo:
            if line.startswith(("model name", "Model")):
                model = line.split(":", 1)[1].strip()
                break
    release = re.match(r"[\d.]+", platform.release())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    facts = {
        "CPU": f"{model}, {len(os.sched_getaffinity(0))} CPUs",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {release.group()} {platform.machine()}",
        "compiler": first_line(["c++", "--version"]),
    }
    if programs.sniffer:
        facts["tcp-sniffer"] = first_line([programs.sniffer, "--version"])
    if programs.tshark:
        facts["tshark"] = first_line([programs.tshark, "--version"])
    if programs.tcpflow:
        facts["tcpflow"] = first_line([programs.tcpflow, "--version"])
    return facts


def row_of(variant, workload):
    """One row as plain figures."""
    wall = median(sample.wall for sample in variant.samples)
    cpu = median(sample.cpu for sample in variant.samples)
    if variant.sliced:
        scale = workload["expected"]["captureBytes"] / workload["slice"]["captureBytes"]
        wall, cpu = wall * scale, cpu * scale
    counted = variant.counted
    expected = workload["slice" if variant.sliced else "expected"]["messages"]
    return {
        "program": variant.program,
        "settings": variant.settings,
        "shards": variant.shards,
        "ratio": workload["loop"] / wall,
        "seconds": wall,
        "gigabytesPerSecond": workload["expected"]["captureBytes"] / wall / 1e9,
        "cpuSeconds": cpu,
        "peakMiB": counted.peak_bytes / 2**20 if counted else None,
        "messages": counted.lines if counted and variant.counts else None,
        "expectedMessages": expected if variant.counts else None,
        "scaled": variant.sliced,
        "runs": len(variant.samples),
    }


def best_of(rows, settings):
    ratios = [row["ratio"] for row in rows
              if row["program"] == "tcp-sniffer" and row["settings"] == settings]
    return max(ratios, default=None)


def ratio_with(rows, settings, shards):
    for row in rows:
        if (row["program"], row["settings"], row["shards"]) == ("tcp-sniffer", settings, shards):
            return row["ratio"]
    return None


def goals(result):
    """(what, reached, wanted, whether that was enough) for each goal that was measured."""
    found = []
    rows = {name: workload["rows"] for name, workload in result["workloads"].items()}

    def best(workload, settings, wanted):
        if workload in rows:
            found.append((f"{workload}, {settings}: best", best_of(rows[workload], settings),
                          wanted))

    def at(workload, settings, shards, wanted):
        if workload in rows:
            found.append((f"{workload}, {settings}: shards {shards}",
                          ratio_with(rows[workload], settings, shards), wanted))

    best("bulk", "headers", 1.3)
    best("bulk", "bodies", 0.50)
    best("api", "headers", 0.45)
    at("api", "headers", "default", 0.35)
    at("api", "headers", "0", 0.28)
    best("api", "bodies", 0.30)
    best("short", "headers", 0.45)
    at("short", "headers", "default", 0.35)
    at("short", "headers", "0", 0.24)
    for workload, of_workload in rows.items():
        for settings in ("headers", "bodies"):
            direct = best_of(of_workload, settings)
            piped = best_of(of_workload, settings + ", to a pipe")
            if direct and piped:
                found.append((f"{workload}, {settings}: through a pipe, of the same to /dev/null",
                              piped / direct, 0.8))
    best("bulk", "headers, from standard input", 0.6)
    judged = [(what, f"{value:.2f}", f"≥ {wanted:.2f}", value >= wanted)
              for what, value, wanted in found if value is not None]
    for row in (result.get("idle") or {"rows": []})["rows"]:
        if row["program"] == "tcp-sniffer":
            judged.append((f"bytes an idle connection: shards {row['shards']}",
                           f"{row['bytesPerConnection']:.0f}", "≤ 400",
                           row["bytesPerConnection"] <= 400))
    return judged


def _number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def _messages(row):
    if row["messages"] is None:
        return "–"
    if row["messages"] == row["expectedMessages"]:
        return f"{row['messages']:,}"
    return f"**{row['messages']:,} of {row['expectedMessages']:,}**"


def _workload_table(name, workload):
    expected = workload["expected"]
    lines = [
        f"**{name}** – {expected['captureBytes'] / 2**30:.2f} GiB, {expected['packets']:,} packets, "
        f"{expected['connections']:,} connections, {expected['messages']:,} messages; the loop "
        f"takes {workload['loop']:.3f} s "
        f"({expected['captureBytes'] / workload['loop'] / 1e9:.1f} GB/s).",
        "",
        "| program | | shards | of the loop | GB/s | messages found | CPU s | peak MiB |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in workload["rows"]:
        scaled = " ¹" if row["scaled"] else ""
        digits = 2 if row["ratio"] >= 0.02 else 4
        lines.append(
            f"| {row['program']}{scaled} | {row['settings']} | {row['shards']} | "
            f"{row['ratio']:.{digits}f} | {row['gigabytesPerSecond']:.{digits}f} | "
            f"{_messages(row)} | {_number(row['cpuSeconds'])} | {_number(row['peakMiB'], 0)} |")
    return lines + [""]


def _idle_table(idle):
    lines = [
        "**idle** – connections that have exchanged messages and stay open.",
        "",
        "| program | shards | connections | peak MiB | bytes a connection ² | messages found "
        "| seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in idle["rows"]:
        lines.append(f"| {row['program']} | {row['shards']} | {row['connections']:,} | "
                     f"{row['peakMiB']:.0f} | {row['bytesPerConnection']:.0f} | "
                     f"{_messages(row)} | {row['seconds']:.2f} |")
    return lines + [""]


def _is_brief(row):
    return "pipe" not in row["settings"] and "standard input" not in row["settings"]


def markdown(result, chart, brief=False):
    """The report; brief: without other ways in and out and goals, for docs/performance.md."""
    facts = "; ".join(f"{name}: {value}" for name, value in result["machine"].items())
    lines = [
        f"Measured {result['date']} with `bench/compare/run.py`, medians of {result['runs']} "
        f"interleaved runs, files in the page cache, output to /dev/null unless said otherwise. "
        f"{facts}.",
        "",
        f"![Throughput relative to the bare libpcap loop]({chart})",
        "",
    ]
    for name, workload in result["workloads"].items():
        if brief:
            workload = {**workload, "rows": [row for row in workload["rows"] if _is_brief(row)]}
        lines += _workload_table(name, workload)
    if result.get("idle"):
        lines += _idle_table(result["idle"])
    reached = [] if brief else goals(result)
    if reached:
        lines += ["| goal | wanted | reached |", "|---|---:|---:|"]
        for what, value, wanted, enough in reached:
            lines.append(f"| {what} | {wanted} | {value}{'' if enough else ' ✗'} |")
        lines.append("")
    notes = []
    if any(row["scaled"] for workload in result["workloads"].values() for row in workload["rows"]):
        notes.append(f"¹ measured on a capture of about {result['sliceMiB']} MiB of the same kind, "
                     "scaled to the size of the large one.")
    if result.get("idle"):
        notes.append("² peak memory beyond that of a run with a tenth of the connections, divided "
                     "by the difference in connections.")
    return "\n".join(lines + notes) + "\n"


_COLOURS = {"tcp-sniffer": "#2563eb", "libnids + llhttp": "#d97706", "libtins + llhttp": "#b45309",
            "tshark": "#6b7280", "tcpflow": "#9ca3af"}


def _chart_rows(workload):
    """Ours: the best number of shards for each kind of work. Peers as they are."""
    chosen = {}
    for row in workload["rows"]:
        key = (row["program"], row["settings"])
        if key not in chosen or row["ratio"] > chosen[key]["ratio"]:
            chosen[key] = row
    return sorted(chosen.values(), key=lambda row: (row["program"] != "tcp-sniffer", -row["ratio"]))


def svg(result):
    label_width, bar_width, step = 330, 460, 22
    groups = [(name, _chart_rows(workload)) for name, workload in result["workloads"].items()]
    largest = max([row["ratio"] for _, rows in groups for row in rows] + [1.0])
    unit = bar_width / largest
    parts, y = [], 44
    for name, rows in groups:
        parts.append(f'<text x="12" y="{y + 14}" font-weight="bold">{html.escape(name)}</text>')
        y += step
        for row in rows:
            shards = f", shards {row['shards']}" if row["shards"] else ""
            label = html.escape(f"{row['program']} – {row['settings']}{shards}")
            width = max(row["ratio"] * unit, 1)
            digits = 2 if row["ratio"] >= 0.02 else 4
            parts.append(
                f'<text x="{label_width - 8}" y="{y + 13}" text-anchor="end">{label}</text>'
                f'<rect x="{label_width}" y="{y + 2}" width="{width:.1f}" height="{step - 7}" '
                f'fill="{_COLOURS.get(row["program"], "#374151")}"/>'
                f'<text x="{label_width + width + 6:.1f}" y="{y + 13}">'
                f'{row["ratio"]:.{digits}f}</text>')
            y += step
        y += 10
    mark = label_width + unit
    parts.append(f'<line x1="{mark:.1f}" y1="36" x2="{mark:.1f}" y2="{y}" stroke="#111827" '
                 f'stroke-dasharray="4 3"/>')
    width = label_width + bar_width + 60
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 10}" '
            f'viewBox="0 0 {width} {y + 10}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="#ffffff"/>'
            f'<text x="12" y="22" font-size="15">Throughput relative to the bare libpcap loop '
            f'(dashed = 1; ours: the best number of shards)</text>'
            + "".join(parts) + "</svg>\n")


def speed_table(result):
    """The README's table: the best of each program with headers only, in GB/s."""
    peers = [("libnids + llhttp", "headers"), ("libtins + llhttp", "headers"),
             ("tcpflow", "bodies, into files"), ("tshark", "headers")]
    lines = ["| capture | " + " | ".join(["tcp-sniffer", *(name for name, _ in peers)]) + " |",
             "|---|" + "---:|" * (len(peers) + 1)]
    for name, workload in result["workloads"].items():
        cells = []
        for wanted in [("tcp-sniffer", "headers"), *peers]:
            speeds = [row["gigabytesPerSecond"] for row in workload["rows"]
                      if (row["program"], row["settings"]) == wanted]
            best = max(speeds, default=0)
            cells.append(f"{best:.{2 if best >= 0.1 else 3}f}" if speeds else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def update_document(path, mark, text):
    """Replaces what stands between the two marks. False when they are not there."""
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as document:
        old = document.read()
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(old):
        return False
    with open(path, "w", encoding="utf-8") as document:
        document.write(pattern.sub(lambda _: f"{begin}\n{text}{end}", old, count=1))
    return True


def write(result, root):
    """Into bench/results, docs/performance.md and the README. False where a mark is missing."""
    folder = os.path.join(root, "bench", "results")
    os.makedirs(folder, exist_ok=True)
    for name, text in (("compare.md", "# Comparison\n\n" + markdown(result, "compare.svg")),
                       ("compare.svg", svg(result)),
                       ("compare.json", json.dumps(result, indent=1) + "\n")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    text = markdown(result, "../bench/results/compare.svg", brief=True)
    text += ("\nThrough pipes and from standard input: "
             "[bench/results/compare.md](../bench/results/compare.md).\n")
    found = update_document(os.path.join(root, "docs", "performance.md"), "bench", text)
    return update_document(os.path.join(root, "README.md"), "speed", speed_table(result)) and found
