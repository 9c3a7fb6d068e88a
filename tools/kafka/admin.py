"""The few requests of Kafka's administration that the tests need.

A broker's own tools start a Java machine for each request, which takes seconds. These are the wire
format itself: a length, a header (number and version of the request, correlation id, client), and
the fields in big-endian order. The versions used are the oldest that Kafka 4 still knows, because
they have no tagged fields.
"""

import socket
import struct
import time

CREATE_TOPICS, DELETE_TOPICS, CREATE_ACLS, DELETE_ACLS = 19, 20, 30, 31
TOPIC, LITERAL, WRITE, ALL, DENY, ALLOW = 2, 3, 4, 2, 2, 3  # words of the ACL requests
# The answer is another one a little later: a new leader or controller is being chosen.
RETRY = {5, 6, 7, 13, 14, 15, 16, 41}
TOPIC_EXISTS, UNKNOWN_TOPIC = 36, 3


class Refused(Exception):
    """The broker's error code for a request."""


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def listed(items):
    items = list(items)
    return struct.pack(">i", len(items)) + b"".join(items)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def text(self):
        size = self.number("h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the broker closed the connection")
        data += part
    return data


def ask(address, number, version, body, seconds=10):
    """The answer's fields after its header."""
    request = struct.pack(">hhi", number, version, 1) + text("tests") + body
    with socket.create_connection(address, seconds) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        size, = struct.unpack(">i", receive(connection, 4))
        return Reader(receive(connection, size)[4:])


def ask_until_done(addresses, number, version, body, errors_of, done=(0,), seconds=60):
    """Asks one broker after the other until none of the answer's errors is one that passes."""
    deadline = time.monotonic() + seconds
    failure = None
    while time.monotonic() < deadline:
        for address in addresses:
            try:
                errors = errors_of(ask(address, number, version, body))
            except (OSError, struct.error) as error:
                failure = error
                continue
            failure = [error for error in errors if error not in done]
            if not failure:
                return
            if not set(failure) <= RETRY:
                raise Refused(f"request {number}: error {failure}")
        time.sleep(0.1)
    raise Refused(f"request {number}: no answer in {seconds} s, at last {failure}")


def create_topic(addresses, name, partitions, replicas, configuration=None):
    settings = listed(text(key) + text(str(value)) for key, value in (configuration or {}).items())
    topic = text(name) + struct.pack(">ih", partitions, replicas) + listed([]) + settings
    body = listed([topic]) + struct.pack(">i?", 10_000, False)

    def errors(answer):
        answer.number("i")  # how long the request was throttled
        for _ in range(answer.number("i")):
            answer.text()
            yield answer.number("h")
            answer.text()

    ask_until_done(addresses, CREATE_TOPICS, 2, body, errors, (0, TOPIC_EXISTS))


def delete_topic(addresses, name):
    body = listed([text(name)]) + struct.pack(">i", 10_000)

    def errors(answer):
        answer.number("i")
        for _ in range(answer.number("i")):
            answer.text()
            yield answer.number("h")

    ask_until_done(addresses, DELETE_TOPICS, 1, body, errors, (0, UNKNOWN_TOPIC))


def _access(topic, user, operation, permission):
    return (struct.pack(">b", TOPIC) + text(topic) + struct.pack(">b", LITERAL) +
            text(f"User:{user}") + text("*") + struct.pack(">bb", operation, permission))


def create_access(addresses, topic, user, operation, permission):
    def errors(answer):
        answer.number("i")
        for _ in range(answer.number("i")):
            yield answer.number("h")
            answer.text()

    ask_until_done(addresses, CREATE_ACLS, 1, listed([_access(topic, user, operation, permission)]),
                   errors)


def delete_access(addresses, topic, user, operation, permission):
    def errors(answer):
        answer.number("i")
        for _ in range(answer.number("i")):
            yield answer.number("h")
            break  # the rules that were found follow; their errors are this one

    ask_until_done(addresses, DELETE_ACLS, 1, listed([_access(topic, user, operation, permission)]),
                   errors)
