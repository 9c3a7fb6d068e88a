#!/usr/bin/env python3
"""Carries out what docs/fleet.md shows: document.py ROOT PROGRAM

Starts a broker. PROGRAM reads a capture under the `json` configuration of the document and writes it
into a topic. An embedded ClickHouse (chdb) carries out the `sql` blocks, so it reads the topic as
the document says. Only what this machine does not have is replaced: the interface, the names of the
brokers, their passwords; and the time limits, because the capture is old. Checks that each line
becomes a row with all its values, that a record which is delivered twice counts once, and that each
query has an answer. chdb is fetched with pip, into build/. What is not there makes the exit code 77,
a skipped test; 1 where TCP_SNIFFER_FAIL_ON_SKIP is set, as in CI, but for what comes from a registry
out of reach.
"""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import cluster as kafka

CHDB = "chdb-core==26.9.0"
FETCH_SECONDS_MAX = 300
CAPTURE = "pcaps/site_and_api.pcap"
SENSOR = "gateway-7"
LIVE = ("interface", "ports", "kafkaProperties", "kafkaPropertiesFile", "metricsListen")
HOUR = "timestamp > now() - INTERVAL 1 HOUR"


class Wrong(Exception):
    """What the document shows does not do what it should."""


def check(holds, words):
    if not holds:
        raise Wrong(words)


def connect(root, data):
    """An embedded ClickHouse with its data in the folder `data`."""
    folder = root / "build" / CHDB.replace("==", "-")
    if not (folder / "complete").exists():
        print(f"fetching {CHDB} with pip", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps",
                   "--disable-pip-version-check", "--target", folder, CHDB]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False,
                                  timeout=FETCH_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            kafka.skip(f"pip did not fetch {CHDB} in {FETCH_SECONDS_MAX} s", is_allowed=True)
        if done.returncode != 0:
            kafka.skip(f"pip could not fetch {CHDB}: {done.stderr[-500:]}", is_allowed=True)
        (folder / "complete").touch()
    # The package itself would import pandas and pyarrow, for tables that nobody needs here.
    spec = importlib.util.spec_from_file_location("_chdb", folder / "chdb" / "_chdb.abi3.so")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.connect(str(data))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shown(root):
    """(the configuration, the statements that make tables, the queries) of the document."""
    text = (root / "docs" / "fleet.md").read_text(encoding="utf-8")
    configuration, = blocks(text, "json")
    statements = blocks(text, "sql")
    creating = [one for one in statements if one.startswith("CREATE")]
    asking = [one for one in statements if not one.startswith("CREATE")]
    check(len(creating) == 3 and len(asking) == 3, "the document has six statements")
    return configuration, creating, asking


def run_sensor(configuration, capture, program, folder, output):
    """PROGRAM, under the document's configuration as far as this machine allows."""
    settings = json.loads(configuration)
    check(settings["output"].startswith("kafka://"), "the configuration writes to Kafka")
    for key in LIVE:
        settings.pop(key, None)
    settings |= {"files": [str(capture)], "output": output, "format": "ndjson",
                 "sensorName": SENSOR}
    file = folder / "config.json"
    file.write_text(json.dumps(settings))
    done = subprocess.run([program, "--config", file], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"the sensor ended with {done.returncode}: {done.stderr}")


def check_rows(lines, rows):
    """Each line is a row, with all its values."""
    columns = {"client": "destination.ip", "requestBytes": "request.bodySize",
               "responseBytes": "bodySize"}
    wanted = {(line["connectionId"], line["timestamp"], line.get("exchange", 0)): line
              for line in lines}
    check(len(wanted) == len(lines) > 10, "the lines can be told apart")
    check(len(rows) == len(lines), f"{len(lines)} lines are {len(rows)} rows")
    for row in rows:
        check(row.pop("sensor") == SENSOR, f"the sensor of {row}")
        del row["timestamp"]
        time = row.pop("time").replace(" ", "T") + "Z"
        line = wanted[row["connectionId"], time, row["exchange"]]
        for column, value in row.items():
            expected = line.get(columns.get(column, column))
            check(str(value) == str(expected) or (expected is None and value in ("", 0, None)),
                  f"{column} is {value!r}, in the line {expected!r}")


def carry_out(root, program, folder, brokers):
    configuration, creating, asking = shown(root)
    database = connect(root, folder / "data")

    def ask(query):
        return [json.loads(row) for row in
                str(database.query(query, "JSONEachRow")).splitlines()]

    def ask_about_all(query):
        check(HOUR in query, f"the query is about the last hour: {query}")
        return ask(query.replace(HOUR, "true"))

    def rows():
        return int(ask("SELECT count() AS n FROM exchanges")[0]["n"])

    file = folder / "lines.ndjson"
    run_sensor(configuration, root / CAPTURE, program, folder, str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    brokers.create_topic("http")
    for statement in creating:
        statement = re.sub(r"^TTL .*$", "", statement, flags=re.MULTILINE)
        ask(re.sub(r"(kafka_broker_list = )'[^']*'", rf"\1'{brokers.bootstrap}'", statement))
    ask("SYSTEM STOP MERGES exchanges")  # a merge takes copies away
    for copies in (1, 2):
        run_sensor(configuration, root / CAPTURE, program, folder, f"kafka://{brokers.bootstrap}/http")
        kafka.wait_until(lambda n=copies * len(lines): rows() == n, "ClickHouse has read all")
    check_rows(lines, ask("SELECT *, toString(timestamp) AS time FROM exchanges FINAL"))
    for query in asking:
        check(ask_about_all(query), f"no row comes of {query}")
    by_host = ask_about_all(asking[0])
    total = sum(row["requests"] for row in by_host) * 60
    check(round(total) == len(lines), f"{total} requests of {len(lines)}")


def main():
    root, program = pathlib.Path(sys.argv[1]).resolve(), os.path.abspath(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, kafka.Cluster() as brokers:
        carry_out(root, program, pathlib.Path(folder), brokers)


if __name__ == "__main__":
    try:
        main()
    except kafka.Unavailable as reason:
        kafka.skip(reason, isinstance(reason, kafka.OutOfReach))
    except (Wrong, kafka.Failed) as reason:
        sys.exit(f"document.py: {reason}")
