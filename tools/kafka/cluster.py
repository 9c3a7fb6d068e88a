#!/usr/bin/env python3
"""Apache Kafka on the loopback interface, for tests and for trying things out.

  cluster.py [--brokers N] [--topic NAME[:PARTITIONS]]... COMMAND [ARGUMENT...]

Fetches Apache Kafka with Maven (once, into build/kafka), starts N brokers in KRaft mode, makes the
topics, runs COMMAND with their addresses in the variable BROKERS, and stops everything. Exit code:
COMMAND's. Needs Java 17, Maven, and kcat; without them it says so and ends with 77.
"""

import argparse
import base64
import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import admin

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JAVA_MIN = 17  # what Kafka 4's brokers need
FETCH_SECONDS_MAX = 300
READY_SECONDS_MAX = 300
SKIPPED = 77
PARTITIONS = 6  # of a topic, unless another number is wanted

# What a user of the SASL listener may be called, and the passwords. Not secrets: they are for brokers
# that live as long as a test.
USERS = {"sensor": "sensor-password", "reader": "reader-password"}

PROPERTIES = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={certificate}
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:reader
log.dirs={folder}/log
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=1
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
# A broker that is gone is noticed after 3 s, not after 9.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=5000
num.network.threads=2
num.io.threads=4
"""


class Unavailable(Exception):
    """What this machine does not have."""


class OutOfReach(Unavailable):
    """A registry that this network does not reach."""


class Failed(Exception):
    """What went wrong, with the last words of the program concerned."""


def wait_until(condition, what, seconds=READY_SECONDS_MAX):
    """The condition's value, once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not in {seconds} s: {what}")
        time.sleep(0.05)
    return value


def skip(reason, is_allowed=False):
    """Ends this process: as a skipped test, or as a failed one where no test may be skipped.

    `is_allowed`: it may be skipped there, too. Packages that are not Debian's come from registries
    that a network need not reach.
    """
    print(f"skipped: {reason}", file=sys.stderr)
    is_fault = os.environ.get("TCP_SNIFFER_FAIL_ON_SKIP") and not is_allowed
    sys.exit(1 if is_fault else SKIPPED)


def check_programs():
    for program, package in (("java", "default-jre-headless"), ("mvn", "maven"), ("kcat", "kcat")):
        if shutil.which(program) is None:
            raise Unavailable(f"a Kafka broker needs {program} (Debian package {package})")
    words = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', words)
    if not found or int(found[1]) < JAVA_MIN:
        raise Unavailable(f"a Kafka broker needs Java {JAVA_MIN} or newer")


def kafka_version():
    names = {"": "http://maven.apache.org/POM/4.0.0"}
    pom = xml.etree.ElementTree.parse(HERE / "pom.xml")
    return pom.find("dependencies/dependency/version", names).text


def fetch():
    """The folder with Kafka's jars. Fetches them when they are not there yet."""
    check_programs()
    folder = ROOT / "build" / "kafka" / kafka_version()
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "complete"
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return folder
        print(f"fetching Apache Kafka {folder.name} with Maven", file=sys.stderr)
        try:
            run = subprocess.run(
                ["mvn", "-B", "-q", "-f", HERE / "pom.xml", "dependency:copy-dependencies",
                 "-DincludeScope=runtime", f"-DoutputDirectory={folder}"],
                capture_output=True, text=True, timeout=FETCH_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired as error:
            raise OutOfReach(f"Maven did not fetch it in {FETCH_SECONDS_MAX} s") from error
        if run.returncode != 0:
            raise OutOfReach("Maven could not fetch Apache Kafka, is there a network?\n" +
                             (run.stdout + run.stderr)[-2000:])
        done.touch()
    return folder


def free_ports(number):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def make_certificate(path, authority=None):
    """A certificate for 127.0.0.1 and its key in one file, signed by `authority`, such a file, or
    by itself."""
    key, signed = path.with_suffix(".key"), path.with_suffix(".crt")
    by = ["-CA", authority, "-CAkey", authority] if authority else []
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "7", "-subj", f"/CN={path.stem}", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", signed, *by],
        check=True, capture_output=True)
    path.write_text(key.read_text() + signed.read_text())
    return path


class Broker:
    def __init__(self, node, folder, java, ports):
        self.node = node
        self.folder = folder
        self.java = java
        self.plain, self.sasl, self.controller, self.tls = ports
        self.process = None
        self.log = None

    def write_properties(self, brokers, certificate):
        """`certificate`: of the TLS listener, with its key; None: there is none."""
        listeners = {"PLAIN": self.plain, "SASL": self.sasl}
        if certificate:
            listeners["TLS"] = self.tls
        replicas = min(3, len(brokers))
        (self.folder / "log").mkdir(parents=True)
        (self.folder / "server.properties").write_text(PROPERTIES.format(
            node=self.node, folder=self.folder, controller=self.controller,
            listeners=",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()),
            certificate=certificate or "", replicas=replicas, in_sync=min(2, replicas),
            voters=",".join(f"{one.node}@127.0.0.1:{one.controller}" for one in brokers),
            users=" ".join(f'user_{name}="{word}"' for name, word in USERS.items())))

    def begin_format(self, cluster_id):
        """Starts what makes the empty log."""
        return subprocess.Popen(
            [*self.java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c",
             self.folder / "server.properties"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start(self):
        self.log = open(self.folder / "broker.log", "ab")
        self.process = subprocess.Popen(
            [*self.java, "kafka.Kafka", self.folder / "server.properties"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=_end_with_parent)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        self.process.wait(READY_SECONDS_MAX)
        self.log.close()

    def kill(self):
        """As after a power cut."""
        self.send(signal.SIGKILL)
        self.wait()

    def stop(self):
        """In order: the leaders move to other brokers first."""
        self.send(signal.SIGTERM)
        self.wait()

    def last_words(self):
        return (self.folder / "broker.log").read_text(errors="replace")[-2000:]


class Cluster:
    """Brokers that run as long as the `with` block."""

    def __init__(self, brokers=1, quick=True, heap="256m", tls=False):
        """`quick`: they start sooner, and are slower once they run. `tls`: they have a TLS listener,
        too, whose certificate is of an authority made for it (`authority`)."""
        if tls and shutil.which("openssl") is None:
            raise Unavailable("certificates need openssl (Debian package openssl)")
        jars = fetch()
        self.tls = tls
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kafka-"))
        self.java = ["java", f"-Xmx{heap}", "-Xshare:auto",
                     "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                     *(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"] if quick else []),
                     "-cp", f"{jars}/*"]
        ports = free_ports(4 * brokers)
        self.brokers = [Broker(i + 1, self.folder / str(i + 1), self.java, ports[4 * i:4 * i + 4])
                        for i in range(brokers)]

    @property
    def addresses(self):
        return [("127.0.0.1", broker.plain) for broker in self.brokers]

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.plain}" for broker in self.brokers)

    @property
    def sasl_bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.sasl}" for broker in self.brokers)

    @property
    def tls_bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.tls}" for broker in self.brokers)

    @property
    def authority(self):
        return self.folder / "authority.pem"

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        cluster_id = _short_uuid()
        certificate = None
        if self.tls:
            make_certificate(self.authority)
            certificate = make_certificate(self.folder / "broker.pem", self.authority)
        for broker in self.brokers:
            broker.write_properties(self.brokers, certificate)
        formatting = [broker.begin_format(cluster_id) for broker in self.brokers]
        for process in formatting:
            words, _ = process.communicate(timeout=READY_SECONDS_MAX)
            if process.returncode != 0:
                raise Failed(f"Kafka's log could not be made: {words[-2000:]}")
        for broker in self.brokers:
            broker.start()
        self.wait_for(self.brokers)

    def __exit__(self, *_):
        for broker in self.brokers:
            if broker.is_running():
                broker.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_for(self, brokers):
        """Until all of these are members of the cluster."""
        wanted = {broker.node for broker in brokers}

        def are_there():
            for broker in brokers:
                if not broker.is_running():
                    raise Failed(f"broker {broker.node} ended: {broker.last_words()}")
            metadata = self.metadata()
            return metadata and wanted <= {one["id"] for one in metadata["brokers"]}

        wait_until(are_there, f"brokers {sorted(wanted)} are there")

    def metadata(self, topic=None):
        """What kcat knows of the cluster, or None while nobody answers."""
        asked = subprocess.run(
            ["kcat", "-b", self.bootstrap, "-L", "-J", "-m", "5", *(["-t", topic] if topic else [])],
            capture_output=True, text=True, check=False)
        return json.loads(asked.stdout) if asked.returncode == 0 else None

    def create_topic(self, name, partitions=PARTITIONS, **configuration):
        """`configuration`: the topic's own, with _ in place of the dots."""
        admin.create_topic(self.addresses, name, partitions, min(3, len(self.brokers)),
                           {key.replace("_", "."): value for key, value in configuration.items()})
        wait_until(lambda: self.is_in_sync(name), f"topic {name} has its leaders")

    def delete_topic(self, name):
        admin.delete_topic(self.addresses, name)

    def partitions(self, topic):
        """Of each partition: its leader and the replicas in sync. Empty while it is not known."""
        metadata = self.metadata(topic)
        topics = metadata["topics"] if metadata else []
        return [(one["leader"], {replica["id"] for replica in one["isrs"]})
                for one in topics[0]["partitions"]] if topics and "error" not in topics[0] else []

    def leader(self, topic):
        """The broker that leads most partitions of the topic."""
        found = wait_until(lambda: self.partitions(topic), f"the leaders of {topic} are known")
        leaders = [leader for leader, _ in found]
        most = max(set(leaders), key=leaders.count)
        return next(broker for broker in self.brokers if broker.node == most)

    def is_in_sync(self, topic):
        partitions = self.partitions(topic)
        return partitions and all(leader > 0 and len(replicas) == min(3, len(self.brokers))
                                  for leader, replicas in partitions)

    def wait_in_sync(self, topic):
        wait_until(lambda: self.is_in_sync(topic), f"all replicas of {topic} are in sync")


def _end_with_parent():
    """In the child: a broker does not outlive this program, however that ends."""
    death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)


def _short_uuid():
    """As Kafka writes one: 22 characters of base64."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--brokers", type=int, default=1)
    arguments.add_argument("--topic", action="append", default=[])
    arguments.add_argument("command", nargs=argparse.REMAINDER)
    options = arguments.parse_args()
    try:
        with Cluster(options.brokers) as cluster:
            for topic in options.topic:
                name, _, partitions = topic.partition(":")
                cluster.create_topic(name, int(partitions or PARTITIONS))
            print(f"brokers: {cluster.bootstrap}", file=sys.stderr)
            if not options.command:
                ends = {signal.SIGINT, signal.SIGTERM}
                signal.pthread_sigmask(signal.SIG_BLOCK, ends)
                signal.sigwait(ends)
                return 0
            return subprocess.run(options.command, check=False,
                                  env={**os.environ, "BROKERS": cluster.bootstrap}).returncode
    except Unavailable as reason:
        skip(reason)
    except Failed as reason:
        sys.exit(f"cluster.py: {reason}")


if __name__ == "__main__":
    sys.exit(main())
