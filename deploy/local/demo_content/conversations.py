"""Conversations as the TOML files beside this file tell them: turns with places for values, and the sets of values.

[[conversation]]        held once for each of its `values`; `age_days` says how long ago it began, `folder` where our
                        people file it when it is over (Junk: it went there at once)
[[conversation.turn]]   one message: `from`, `to` and `cc` are keys of `people`, or names of values that hold one;
                        `after_h` hours after the one before; `attach` names what `attachments` can make;
                        `html` adds an HTML alternative, `quotes = false` leaves out the message before it
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES = ("english.toml", "chinese.toml")


@dataclass(frozen=True, slots=True)
class Turn:
    sender: str
    to: tuple[str, ...]
    text: str
    cc: tuple[str, ...] = ()
    after_h: float = 3.0
    html: bool = False
    attach: tuple[str, ...] = ()
    charset: str = "utf-8"
    quotes: bool = True


@dataclass(frozen=True, slots=True)
class Conversation:
    subject: str
    turns: tuple[Turn, ...]
    values: tuple[Mapping[str, Any], ...]
    folder: str


def conversations() -> list[Conversation]:
    found = []
    for name in _FILES:
        told = tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))
        found += [_conversation(one) for one in told["conversation"]]
    return found


def _conversation(told: dict[str, Any]) -> Conversation:
    turns = []
    for turn in told["turn"]:
        people = {"sender": turn.pop("from"), "to": tuple(turn.pop("to")), "cc": tuple(turn.pop("cc", ()))}
        turns.append(Turn(**people, attach=tuple(turn.pop("attach", ())), **turn))
    return Conversation(told["subject"], tuple(turns), tuple(told["values"]), told.get("folder", ""))
