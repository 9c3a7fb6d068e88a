"""Two network namespaces with a cable between them, nginx in one, the readers beside it.

For the live benchmarks. Needs root, iproute2, nginx, tcpdump. The sniffer and tcpdump run in the
server's namespace, on the interface `right`; the client's interface is `left`.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

ADDRESS = "10.77.0.2"
BUFFER_MIB = 64

NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000000; default_type text/plain;
  server {{ listen 80 backlog=1024; root {folder}/files; }}
}}
"""


def wait_until(is_true, what, seconds=10):
    """Waits for a condition that another process brings about."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not after {seconds} s")
        time.sleep(0.01)


def processor():
    """What the tables say of the machine."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        name = re.search(r"model name\s*: (.*)", file.read())
    return (f"{os.cpu_count()} processors ({name.group(1) if name else os.uname().machine}), "
            f"kernel {os.uname().release}")


class Lab:
    """Made and taken down by `with`. `nginx`: its configuration; {folder} stands for path("")."""

    def __init__(self, nginx=NGINX):
        self.client = f"tcpsniff-bench-{os.getpid()}-client"
        self._server = f"tcpsniff-bench-{os.getpid()}-server"
        self._folder = tempfile.TemporaryDirectory(prefix="tcpsniff-bench")
        self._configuration = nginx
        self._nginx = None

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        ip = lambda *words: subprocess.run(["ip", *words], check=True)
        for name in (self.client, self._server):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "left", "netns", self.client, "type", "veth", "peer", "name", "right",
           "netns", self._server)
        ip("-n", self.client, "addr", "add", "10.77.0.1/24", "dev", "left")
        ip("-n", self._server, "addr", "add", f"{ADDRESS}/24", "dev", "right")
        ip("-n", self.client, "link", "set", "left", "up")
        ip("-n", self._server, "link", "set", "right", "up")
        os.mkdir(self.path("files"))
        with open(self.path("nginx.conf"), "w", encoding="utf-8") as file:
            file.write(self._configuration.format(folder=self._folder.name))
        self._nginx = subprocess.Popen(
            self.on_server(["nginx", "-c", self.path("nginx.conf")]), stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.path("pid")), "nginx has started")

    def __exit__(self, *_):
        self.stop_server(signal.SIGTERM)
        for name in (self.client, self._server):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
        self._folder.cleanup()

    def stop_server(self, how=signal.SIGQUIT):
        """SIGQUIT: nginx answers first what it has begun."""
        if self._nginx is not None:
            self._nginx.send_signal(how)
            self._nginx.wait(60)
            self._nginx = None

    def path(self, name):
        return os.path.join(self._folder.name, name)

    def serve(self, name, data):
        """A file that nginx serves as /NAME."""
        with open(self.path(os.path.join("files", name)), "wb") as file:
            file.write(data)

    def on_server(self, command):
        return ["ip", "netns", "exec", self._server, *command]

    def on_client(self, command):
        return ["ip", "netns", "exec", self.client, *command]

    def switch_offloads_off(self):
        """From here on frames are as long as on a wire."""
        for command in (self.on_client(["ethtool", "-K", "left"]),
                        self.on_server(["ethtool", "-K", "right"])):
            subprocess.run([*command, "tso", "off", "gso", "off", "gro", "off"], check=True)


class Sniffer:
    """The program on the server's side, capturing from when this is made until stop()."""

    def __init__(self, lab, program, options, stdout=subprocess.DEVNULL, prefix=(),
                 source=("-i", "right", "-p", "80")):
        self._events = pathlib.Path(lab.path("events"))
        with open(self._events, "wb") as events:
            self.process = subprocess.Popen(lab.on_server([*prefix, program, *source, *options]),
                                            stdout=stdout, stderr=events)
        wait_until(lambda: self._event("started"), "the sniffer has started")

    def _lines(self):
        text = self._events.read_text(encoding="utf-8")
        return text[:text.rfind("\n") + 1].splitlines()

    def _event(self, name):
        for line in self._lines():
            event = json.loads(line)
            if event["event"] == name:
                return event
        return None

    def warnings(self):
        """The events that report something wrong, as they were written."""
        return [line for line in self._lines() if json.loads(line)["level"] in ("warn", "error")]

    def stop(self):
        """The ledger."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        return self._event("stopped")


class Tcpdump:
    """tcpdump in the same place, with the same buffer."""

    def __init__(self, lab, prefix=(), options=("-q", "-s", "262144", "-w", "/dev/null")):
        self._words = pathlib.Path(lab.path("tcpdump"))
        with open(self._words, "wb") as words:
            self._process = subprocess.Popen(
                lab.on_server([*prefix, "tcpdump", "-i", "right", "-B", str(BUFFER_MIB << 10),
                               *options, "tcp", "port", "80"]), stderr=words)
        wait_until(lambda: "listening" in self._words.read_text(), "tcpdump has started")

    def stop(self):
        """Frames captured, frames lost."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        said = self._words.read_text()
        return tuple(int(re.search(rf"(\d+) packets? {what}", said).group(1))
                     for what in ("captured", "dropped by kernel"))
