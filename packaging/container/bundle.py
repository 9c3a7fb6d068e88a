#!/usr/bin/env python3
"""Makes a bundle for crun or runc from an OCI archive: bundle.py ARCHIVE FOLDER [ARGUMENT...]

FOLDER gets the files of the image's layers (as root, with file capabilities) and a config.json that
runs the image as Kubernetes or docker would with --cap-drop ALL --cap-add NET_RAW --read-only and
the network of the host. ARGUMENTs stand after the image's entry point, in the place of its command,
but for `--mount=FROM:TO`, which mounts a folder of this machine, and `--no-net-raw`, which leaves
NET_RAW out.
"""

import json
import os
import subprocess
import sys
import tarfile


def read_blob(layout, digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), encoding="utf-8") as file:
        return json.load(file)


def unpack(archive, folder):
    """Returns the image's configuration."""
    layout, root = os.path.join(folder, "layout"), os.path.join(folder, "rootfs")
    os.makedirs(root)
    with tarfile.open(archive) as tar:
        tar.extractall(layout)
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        (reference,) = json.load(file)["manifests"]
    manifest = read_blob(layout, reference["digest"])
    for layer in manifest["layers"]:
        blob = os.path.join(layout, "blobs", *layer["digest"].split(":"))
        # Python's tarfile does not set extended attributes, in which file capabilities are.
        subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--same-owner", "-xf", blob,
                        "-C", root], check=True)
    return read_blob(layout, manifest["config"]["digest"])


def main():
    archive, folder, *rest = sys.argv[1:]
    mounts = [word.partition("=")[2].split(":") for word in rest if word.startswith("--mount=")]
    with_right = "--no-net-raw" not in rest
    arguments = [word for word in rest if word != "--no-net-raw" and not word.startswith("--mount=")]
    image = unpack(archive, folder)["config"]
    uid, gid = (int(part) for part in image["User"].split(":"))
    sets = {"bounding": ["CAP_NET_RAW"] if with_right else []}
    config = {
        "ociVersion": "1.0.0",
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": gid},
            "args": image["Entrypoint"] + (arguments or image.get("Cmd", [])),
            "env": image["Env"],
            "cwd": image.get("WorkingDir", "/"),
            "capabilities": sets | {name: [] for name in ("effective", "permitted", "inheritable",
                                                          "ambient")},
            "noNewPrivileges": False,
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                    "options": ["nosuid", "mode=755", "size=64k"]}] +
                  [{"destination": to, "type": "bind", "source": source, "options": ["bind", "ro"]}
                   for source, to in mounts],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}]},
    }
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)


if __name__ == "__main__":
    main()
