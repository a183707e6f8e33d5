"""Copying one account to another over IMAP, as imapsync does: what the target lacks, with flags and dates."""

import imaplib
import re

from tests.flows.clients import quoted

BATCH = 200
_NAME = re.compile(rb'\* LIST \([^)]*\) "/" "?([^"\r\n]+)"?|\([^)]*\) "/" "?([^"]+)"?')
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


def copy_account(source: imaplib.IMAP4, target: imaplib.IMAP4) -> int:
    """Both signed in. Returns how many messages were copied; a second time there are none left."""
    copied = 0
    for folder in folders(source):
        if folder != "INBOX":
            target.create(quoted(folder))  # NO, if it is there
        status, _ = source.select(quoted(folder), readonly=True)
        assert status == "OK", folder
        wanted = message_ids(source)
        status, _ = target.select(quoted(folder), readonly=True)
        assert status == "OK", folder
        missing = sorted(wanted[key] for key in wanted.keys() - message_ids(target).keys())
        for start in range(0, len(missing), BATCH):
            copied += copy_messages(source, target, folder, missing[start : start + BATCH])
    return copied


def folders(client: imaplib.IMAP4) -> list[str]:
    status, lines = client.list()
    assert status == "OK"
    found = [match for line in lines if isinstance(line, bytes) and (match := _NAME.search(line))]
    return [(match[1] or match[2]).decode() for match in found]


def message_ids(client: imaplib.IMAP4) -> dict[bytes, int]:
    """Message-ID to uid, of the mailbox that is selected."""
    status, lines = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    assert status == "OK", lines
    found = {}
    for line in lines:
        if isinstance(line, tuple):
            uid = re.search(rb"UID (\d+)", line[0])
            assert uid, line
            found[line[1].strip().lower()] = int(uid[1])
    return found


def copy_messages(source: imaplib.IMAP4, target: imaplib.IMAP4, folder: str, uids: list[int]) -> int:
    named = ",".join(map(str, uids))
    status, lines = source.uid("FETCH", named, "(FLAGS INTERNALDATE BODY.PEEK[])")
    assert status == "OK", lines
    copied = 0
    for line in lines:
        if isinstance(line, tuple):
            flags, date = _FLAGS.search(line[0]), _DATE.search(line[0])
            assert flags and date, line[0]
            kept = b" ".join(flag for flag in flags[1].split() if flag != b"\\Recent").decode()
            command = f'copy1 APPEND "{folder}" ({kept}) "{date[1].decode()}" {{{len(line[1])}+}}\r\n'
            target.send(command.encode() + line[1] + b"\r\n")
            while not (answer := target.readline()).startswith(b"copy1 "):
                assert answer, "the connection has ended"
            assert answer.startswith(b"copy1 OK"), answer
            copied += 1
    return copied
