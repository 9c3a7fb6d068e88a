#!/usr/bin/env python3
"""Checks packaging/kubernetes/*.yaml: kubernetes_test.py PROGRAM

Each object is held to the types of Kubernetes' own Python client (python3-kubernetes): a field that
they do not know, a value of another type and a missing field fail. Then what a capture needs, what
it must not have, and that PROGRAM accepts the configuration and serves what the probes ask for.
"""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"Namespace": "V1Namespace", "ServiceAccount": "V1ServiceAccount",
         "ConfigMap": "V1ConfigMap", "DaemonSet": "V1DaemonSet"}
faults = []


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(1 if os.environ.get("TCP_SNIFFER_FAIL_ON_SKIP") else 77)


try:
    import yaml
    from kubernetes.client import models
except ImportError as missing:
    # Debian's packages are there for Debian's Python, which need not be the first in the path.
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    skip(f"{missing.name} is not installed (python3-yaml, python3-kubernetes)")


def check_type(value, kind, where):
    """`kind` is how the client names a type: str, list[V1Container], dict(str, str), V1Probe."""
    simple = {"str": str, "int": int, "bool": bool, "float": (int, float)}
    if listed := re.fullmatch(r"list\[(.*)\]", kind):
        if not isinstance(value, list):
            return faults.append(f"{where}: no list")
        for number, item in enumerate(value):
            check_type(item, listed[1], f"{where}[{number}]")
    elif mapped := re.fullmatch(r"dict\((\w+), (.*)\)", kind):
        if not isinstance(value, dict):
            return faults.append(f"{where}: no object")
        for name, item in value.items():
            check_type(name, mapped[1], f"{where}.{name}")
            check_type(item, mapped[2], f"{where}.{name}")
    elif kind == "object":  # a port or a share: a number or a text
        if not isinstance(value, (int, str)) or isinstance(value, bool):
            faults.append(f"{where}: neither a number nor a text")
    elif kind in simple:
        is_bool = isinstance(value, bool)
        if not isinstance(value, simple[kind]) or is_bool != (kind == "bool"):
            faults.append(f"{where}: no {kind}: {value!r}")
    else:
        check_object(value, getattr(models, kind), where)
    return None


def check_object(value, model, where):
    if not isinstance(value, dict):
        faults.append(f"{where}: no object")
        return
    fields = {shown: own for own, shown in model.attribute_map.items()}
    for name, item in value.items():
        if name not in fields:
            faults.append(f"{where}: {model.__name__} has no field {name}")
        else:
            check_type(item, model.openapi_types[fields[name]], f"{where}.{name}")
    try:  # the client refuses what lacks a field that is required
        model(**{fields[name]: item for name, item in value.items() if name in fields})
    except ValueError as error:
        faults.append(f"{where}: {error}")


def expect(condition, words):
    if not condition:
        faults.append(words)


def check_pod(pod, config):
    expect(pod.get("hostNetwork") is True, "the pod is not on the node's network")
    expect(pod["securityContext"].get("runAsNonRoot") is True, "the pod may run as root")
    expect(pod["securityContext"].get("runAsUser", 0) > 0, "the pod runs as root")
    (container,) = pod["containers"]
    context = container["securityContext"]
    expect(context["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]},
           "not NET_RAW alone: " + json.dumps(context["capabilities"]))
    # The file capability of the program counts only without no_new_privs.
    expect(context.get("allowPrivilegeEscalation") is True, "the file capability would not count")
    expect(context.get("privileged") is False, "the container is privileged")
    expect(context.get("readOnlyRootFilesystem") is True, "the root file system can be written")
    expect({"cpu", "memory"} <= set(container["resources"]["requests"]), "no requests")
    expect("memory" in container["resources"]["limits"], "no limit of memory")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    served = int(config["metricsListen"].rsplit(":", 1)[1])
    for probe in ("startupProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        expect(asked["path"] == "/metrics", f"{probe}: not what the program serves")
        expect(ports.get(asked["port"]) == served, f"{probe}: not where the program serves")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    path = container["args"][container["args"].index("--config") + 1]
    expect(os.path.dirname(path) in mounts.values(), "the configuration is not mounted")
    expect({volume["name"] for volume in pod["volumes"]} == set(mounts), "volumes without mounts")
    return served


def check_config(program, text):
    """What the program says to the configuration; rights and interfaces are this machine's affair."""
    config = json.loads(text)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([program, "--config", path, "--check"], capture_output=True,
                              text=True, check=False)
        expect(done.returncode != 2, f"the configuration is rejected: {done.stdout}{done.stderr}")
        # And the check can fail.
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config | {"noSuchKey": 1}, file)
        done = subprocess.run([program, "--config", path, "--check"], capture_output=True,
                              text=True, check=False)
        expect(done.returncode == 2, "a wrong configuration is not rejected")
    return config


def main():
    objects = {}
    for path in sorted(glob.glob(os.path.join(HERE, "kubernetes", "*.yaml"))):
        with open(path, encoding="utf-8") as file:
            for number, value in enumerate(yaml.safe_load_all(file)):
                where = f"{os.path.basename(path)}[{number}]"
                if value["kind"] not in KINDS:
                    faults.append(f"{where}: the kind {value['kind']} is not checked")
                    continue
                check_object(value, getattr(models, KINDS[value["kind"]]), where)
                objects[value["kind"]] = value
    expect(set(objects) == set(KINDS), f"not all kinds: {sorted(objects)}")
    config = check_config(sys.argv[1], objects["ConfigMap"]["data"]["config.json"])
    daemons = objects["DaemonSet"]["spec"]
    labels = daemons["template"]["metadata"]["labels"]
    expect(daemons["selector"]["matchLabels"].items() <= labels.items(), "the selector selects none")
    served = check_pod(daemons["template"]["spec"], config)
    annotations = daemons["template"]["metadata"]["annotations"]
    expect(annotations.get("prometheus.io/port") == str(served), "Prometheus asks another port")
    # The checks can fail.
    before = len(faults)
    check_object({"metadata": {"nam": "x"}, "spec": {"selector": {}}}, models.V1DaemonSet, "broken")
    noticed, faults[before:] = faults[before:], []
    expect(len(noticed) == 2, f"of two faults these were noticed: {noticed}")
    print("\n".join(faults) or f"{len(objects)} objects")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
