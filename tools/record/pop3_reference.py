"""POP3 (RFC 1939, 2449, 5034) read from the bytes of a connection, beside tcp-sniffer's lines; part
of reference.py."""
import collections

PORT = 110
SECRET = ("PASS", "APOP", "AUTH")
Message = collections.namedtuple("Message", "exchange start body")


def has_body(command, argument):
    """Whether a good reply to it goes on until a line with a dot."""
    return command in ("CAPA", "TOP", "RETR") or (command in ("LIST", "UIDL") and not argument)


def read(client, server):
    """The requests and the responses of one connection, each in order."""
    lines = server.decode().split("\r\n")[:-1]
    responses = [Message(None, lines.pop(0), "")]  # the greeting answers nothing
    requests, reply = [], ""
    for exchange, text in enumerate(client.decode().split("\r\n")[:-1]):
        # "+ " asks for more: what the client says next belongs to AUTH.
        continues = reply.startswith("+ ")
        command, _, argument = ("AUTH", "", text) if continues else text.partition(" ")
        command = command.upper()
        shown = "[redacted]" if command in SECRET else argument
        requests.append(Message(exchange, f"{command} {shown}", ""))
        reply = lines.pop(0)
        body = ""
        if reply.startswith("+OK") and has_body(command, argument):
            while (line := lines.pop(0)) != ".":
                body += line.removeprefix(".") + "\r\n"
        responses.append(Message(exchange, reply, body))
    if lines:
        raise ValueError(f"replies to nothing: {lines}")
    return requests, responses


def message_of(line):
    names = ("method", "argument") if line["direction"] == "request" else ("status", "statusText")
    return Message(line.get("exchange"), " ".join(line[name] for name in names).rstrip(" "),
                   line["body"])


def compare(streams, lines):
    """The number of differences; streams as of reference.py."""
    count = 0
    for server, client, sent, answered in streams:
        requests, responses = read(sent, answered)
        for direction, expected in (("request", requests), ("response", responses)):
            found = [line for line in lines if line["direction"] == direction
                     and (line["destination"]["ip"], line["destination"]["port"]) == client
                     and (line["receiver"]["ip"], line["receiver"]["port"]) == server]
            right = [m._replace(start=m.start.rstrip(" ")) for m in expected]
            have = [message_of(line) for line in found]
            wrong = [pair for pair in zip(right, have) if pair[0] != pair[1]]
            wrong += [line for line in found if "incomplete" in line
                      or line["bodySize"] != len(line["body"].encode())]
            count += len(wrong) + abs(len(right) - len(have))
            print(f"{client[0]}:{client[1]} {direction}: {len(expected)} messages, "
                  f"{len(found)} lines", *wrong, sep="\n  ")
    return count
