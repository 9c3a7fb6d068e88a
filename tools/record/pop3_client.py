"""Reads the mail of ada as a mail program would: pop3_client.py HOST

Three connections: a whole visit, one whose commands are sent all at once, a wrong password."""
import base64
import poplib
import sys

HOST, SECONDS = sys.argv[1], 10


def visit():
    box = poplib.POP3(HOST, timeout=SECONDS)
    box.capa()
    box.user("ada")
    box.pass_("lovelace")
    count, _ = box.stat()
    box.list()
    box.uidl()
    box.top(1, 2)
    for number in range(1, count + 1):
        box.retr(number)
    box.list(1)
    refused(box.retr, count + 7)
    box.dele(1)
    box.noop()
    box.quit()


def wrong_password():
    box = poplib.POP3(HOST, timeout=SECONDS)
    box.user("ada")
    refused(box.pass_, "byron")
    box.quit()


def all_at_once():
    box = poplib.POP3(HOST, timeout=SECONDS)
    box.sock.sendall(b"AUTH PLAIN\r\n")
    assert box.file.readline() == b"+ \r\n"
    box.sock.sendall(base64.b64encode(b"\0ada\0lovelace") + b"\r\n")
    assert box.file.readline().startswith(b"+OK")
    box.sock.sendall(b"STAT\r\nLIST\r\nTOP 1 0\r\nRETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n")
    while box.file.readline():
        pass
    box.close()


def refused(command, *arguments):
    try:
        command(*arguments)
    except poplib.error_proto:
        return
    sys.exit(f"{command} was not refused")


visit()
all_at_once()
wrong_password()  # last, for the server makes the next one wait
