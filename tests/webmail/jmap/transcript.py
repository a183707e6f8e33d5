"""Conversations with JMAP, written down: what the client asks, and what the server must say.

    # The first line of comment says what it is about
    A: Hello                        a message of this subject arrives
    Q: 1000000                      from now on the person may have so many octets
    C: [["Core/echo", {"a": 1}, "c1"]]          calls; or a whole Request object, or in quotes what is no JSON
    S: [["Core/echo", {"a": "$a"}, "c1"]]       their responses; or a status and what came with it: S: 400 {…}

JSON may go on over lines. `"$name"` in an answer is whatever stands there, and the same wherever it comes again. It
is put into what is asked later, into pieces of paths too (`"mailboxIds/$drafts"`). `$accountId` and `$username` are
given; what names no account is of the first. `"...": 0` in an object means that there may be more in it, and `"..."`
at the end of a list that there may be more of them.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.conftest import RunningServices, plain_message
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.quotas import set_quota

_LINE = re.compile(r"^([ACQS]): ?(.*)$")
_STATUS = re.compile(r"([1-5][0-9][0-9]) (.*)", re.DOTALL)
MORE = "..."


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Who speaks, and what they say."""
    who, said = "", ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if found := _LINE.match(line):
            if who:
                yield who, said
            who, said = found.groups()
        else:
            said += "\n" + line
    if who:
        yield who, said


async def play(jmap: Jmap, text: str, services: RunningServices) -> None:
    """Raises AssertionError where the server says something else."""
    known: dict[str, Any] = {"$accountId": jmap.account_id, "$username": jmap.person.address}
    status, said = 0, b""
    for who, words in steps(text):
        if who == "A":
            await jmap.receive(plain_message(subject=words.strip()))
        elif who == "Q":
            await set_quota(services, jmap.person.principal, int(words))
        elif who == "C":
            answer = await jmap.post(_request(jmap, json.loads(words), known))
            status, said = answer.status, answer.body
        else:
            found = _STATUS.fullmatch(words)
            assert status == (int(found[1]) if found else 200), said
            told = json.loads(said)
            expected = json.loads(found[2] if found else words)
            match(expected, told["methodResponses"] if isinstance(expected, list) else told, known, "")


def _request(jmap: Jmap, asked: Any, known: dict[str, Any]) -> Any:
    if isinstance(asked, str):
        return asked.encode()
    asked = _filled(asked, known)
    if isinstance(asked, dict):
        return asked
    calls = [
        [name, arguments if name == "Core/echo" else {"accountId": jmap.account_id, **arguments}, call_id]
        for name, arguments, call_id in asked
    ]
    return {"using": list(jmap.using), "methodCalls": calls}


def _filled(value: Any, known: dict[str, Any]) -> Any:
    match value:
        case str():
            return known.get(value, value)
        case list():
            return [_filled(each, known) for each in value]
        case dict():
            return {_filled_path(name, known): _filled(each, known) for name, each in value.items()}
    return value


def _filled_path(path: str, known: dict[str, Any]) -> str:
    return "/".join(str(known.get(piece, piece)) for piece in path.split("/"))


def match(expected: Any, told: Any, known: dict[str, Any], where: str) -> None:
    if isinstance(expected, str) and expected.startswith("$"):
        assert told == known.setdefault(expected, told), f"{where}: {told!r} is not {known[expected]!r}"
    elif isinstance(expected, dict) and isinstance(told, dict):
        expected = {known.get(name, name): each for name, each in expected.items()}
        wanted = expected.keys() - {MORE}
        assert wanted <= told.keys() if MORE in expected else wanted == told.keys(), f"{where}: {sorted(told)}"
        for name in wanted:
            match(expected[name], told[name], known, f"{where}/{name}")
    elif isinstance(expected, list) and isinstance(told, list):
        is_open = expected[-1:] == [MORE]
        wanted_items = expected[:-1] if is_open else expected
        assert len(told) >= len(wanted_items) if is_open else len(told) == len(wanted_items), f"{where}: {told!r}"
        for place, each in enumerate(wanted_items):
            match(each, told[place], known, f"{where}/{place}")
    else:
        assert told == expected, f"{where}: {told!r} is not {expected!r}"
