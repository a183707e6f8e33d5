"""A client that believes what /set says, while others work by IMAP at the same time, has what the server has."""

import asyncio
import random
from typing import Any

import pytest

from tests.conftest import plain_message
from tests.someone import Someone
from tests.storage.test_mailbox_counts import counted, random_act, said
from tests.webmail.jmap.client import Jmap

WORDS = ("$seen", "$flagged", "$draft", "work", "home")


class Client:
    """Knows of each Email where it is and its keywords; `believed` counts answers that it took as they were."""

    def __init__(self, jmap: Jmap, dice: random.Random, boxes: list[str]) -> None:
        self._jmap, self._dice, self._boxes = jmap, dice, boxes
        self.records: dict[str, Any] = {}
        self.state = ""
        self.believed = 0

    async def everything(self) -> tuple[dict[str, Any], str]:
        found = await self._jmap.call("Email/get", {"ids": None, "properties": ["mailboxIds", "keywords"]})
        return {each.pop("id"): each for each in found["list"]}, found["state"]

    async def catch_up(self) -> None:
        told = await self._jmap.call("Email/changes", {"sinceState": self.state})
        for each in told["destroyed"]:
            self.records.pop(each, None)
        changed = [*told["created"], *told["updated"]]
        await self._fetch(changed)
        self.state = told["newState"]

    async def _fetch(self, ids: list[str]) -> None:
        found = await self._jmap.call("Email/get", {"ids": ids, "properties": ["mailboxIds", "keywords"]})
        for each in found["list"]:
            self.records[each.pop("id")] = each
        for each in found["notFound"]:
            self.records.pop(each, None)

    def _record(self) -> dict[str, Any]:
        dice = self._dice
        return {
            "mailboxIds": dict.fromkeys(dice.sample(self._boxes, dice.randint(1, 2)), True),
            "keywords": dict.fromkeys(dice.sample(WORDS, dice.randint(0, 3)), True),
        }

    async def act(self) -> None:
        dice = self._dice
        known = sorted(self.records)
        chosen = dice.sample(known, min(len(known), dice.randint(0, 4)))
        destroy = chosen[:1] if dice.random() < 0.4 else []
        update = {each: self._record() for each in chosen[1:]}
        body = {"subject": f"made {dice.randrange(1000)}"}
        create = {"new": {**self._record(), **body}} if dice.random() < 0.4 else {}
        done = await self._jmap.call("Email/set", {"create": create, "update": update, "destroy": destroy})
        if done["oldState"] != self.state:
            await self.catch_up()
            return
        self.believed += 1
        for each in done["updated"] or {}:
            self.records[each] = update[each]
        for each in done["destroyed"] or ():
            del self.records[each]
        for key, made in (done["created"] or {}).items():
            self.records[made["id"]] = {name: create[key][name] for name in ("mailboxIds", "keywords")}
        self.state = done["newState"]


@pytest.mark.parametrize("seed", range(3))
async def test_answers_to_set_can_be_believed(jmap: Jmap, seed: int) -> None:
    dice = random.Random(seed)
    ada = Someone(jmap.store, jmap.person.principal)
    for number in range(5):
        await ada.receive(plain_message(number))
    boxes = [f"F{(await ada.box(name)).id}" for name in ("INBOX", "Sent", "Archive", "Drafts")]
    client = Client(jmap, dice, boxes)
    client.records, client.state = await client.everything()
    for _ in range(40):
        acts = [client.act()]
        if dice.random() < 0.6:
            acts += [random_act(ada, dice) for _ in range(dice.randint(1, 2))]
        dice.shuffle(acts)
        await asyncio.gather(*acts)
        records, state = await client.everything()
        if state != client.state:
            await client.catch_up()
        assert (client.records, client.state) == (records, state)
        assert await said(ada) == await counted(ada)
    assert client.believed > 5
