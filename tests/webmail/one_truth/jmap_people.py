"""Who works by JMAP, with a cache of each type that is led on by /changes alone (RFC 8620 §5.2)."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tests.account_deeds import NAMES
from tests.conftest import plain_message
from tests.webmail.jmap.client import Jmap

Records = dict[str, Any]

KINDS = ("Mailbox", "Thread", "Email")
PROPERTIES = {"Email": ["mailboxIds", "keywords", "threadId", "receivedAt", "size"]}
WORDS = ("$seen", "$flagged", "$draft", "$answered", "work", "$junk")
LEAVES = tuple(sorted({part for name in NAMES for part in name.split("/")}))
_MISMATCH = {"stateMismatch", "serverPartialFail"}  # before anything was done, or between what is done one by one
_OUR_FAULT = {"serverFail", "serverPartialFail", "serverUnavailable"}


async def everything(jmap: Jmap, kind: str) -> tuple[Records, str]:
    """What /get tells of all that is there, and its state."""
    told = await jmap.call(f"{kind}/get", {"ids": None, "properties": PROPERTIES.get(kind)})
    return {each["id"]: each for each in told["list"]}, told["state"]


class Cache:
    """Of one type. A record that is None could not be fetched any more; the server has yet to say that it is gone."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.records: Records = {}
        self.state = ""
        self.refills = 0

    async def fill(self, jmap: Jmap) -> None:
        self.records, self.state = await everything(jmap, self.kind)
        self.refills += 1

    async def catch_up(self, jmap: Jmap, dice: random.Random) -> None:
        while await self._step(jmap, dice.choice((1, 2, 3, None, None))):
            pass

    async def _step(self, jmap: Jmap, most: int | None) -> bool:
        """One /changes, and what it names in the same request; is there more?"""
        changes = f"{self.kind}/changes"
        gets = [
            [f"{self.kind}/get", {"#ids": {"resultOf": "0", "name": changes, "path": path}, **self._wanted()}]
            for path in ("/created", "/updated")
        ]
        (name, told, _), *got = await jmap.calls([changes, {"sinceState": self.state, "maxChanges": most}], *gets)
        if name == "error":
            assert told["type"] == "cannotCalculateChanges", told
            await self.fill(jmap)
            return False
        created, updated, destroyed = (set(told[each]) for each in ("created", "updated", "destroyed"))
        count = len(told["created"]) + len(told["updated"]) + len(told["destroyed"])
        assert most is None or count <= most, told
        assert count == len(created | updated | destroyed), told
        assert not self.records.keys() & created, ("created, though it was there", self.state, told)
        assert self.records.keys() >= updated | destroyed, ("changed, though it was not there", self.state, told)
        assert told["hasMoreChanges"] is False or told["newState"] != self.state, told
        for each in destroyed:
            del self.records[each]
        self.records.update(dict.fromkeys(created))
        only = told.get("updatedProperties")
        for (_, found, _), names in zip(got, (created, updated), strict=True):
            assert {*(each["id"] for each in found["list"]), *found["notFound"]} == names, found
            for each in found["list"]:
                self._learn(each, only if names is updated else None)
        self.state = told["newState"]
        return bool(told["hasMoreChanges"])

    def _wanted(self) -> Mapping[str, Any]:
        return {"properties": PROPERTIES[self.kind]} if self.kind in PROPERTIES else {}

    def _learn(self, record: Mapping[str, Any], only: Sequence[str] | None) -> None:
        known = self.records[record["id"]]
        if known is None or only is None:
            self.records[record["id"]] = dict(record)
        else:
            known.update({name: record[name] for name in only})


class JmapPerson:
    """Their requests are answered by any of several processes."""

    def __init__(self, processes: Sequence[Jmap]) -> None:
        self._processes = processes
        self.caches = [Cache(kind) for kind in KINDS]
        self._mailboxes, _, self._emails = self.caches
        self._made = 0

    async def arrive(self) -> None:
        for cache in self.caches:
            await cache.fill(self._processes[0])

    async def synchronise(self, dice: random.Random) -> None:
        for cache in dice.sample(self.caches, dice.choice((1, 3))):
            await cache.catch_up(dice.choice(self._processes), dice)

    async def synchronise_all(self, dice: random.Random) -> None:
        for cache in self.caches:
            await cache.catch_up(dice.choice(self._processes), dice)

    async def work(self, dice: random.Random) -> None:
        await dice.choices((self._set_emails, self._import, self._set_mailboxes), (6, 2, 2))[0](dice)

    def _some(self, dice: random.Random, cache: Cache, most: int) -> list[str]:
        known = sorted(cache.records)
        return dice.sample(known, min(len(known), dice.randint(0, most)))

    def _homes(self, dice: random.Random) -> dict[str, bool]:
        return dict.fromkeys(self._some(dice, self._mailboxes, 2) or sorted(self._mailboxes.records)[:1], True)

    def _keywords(self, dice: random.Random) -> dict[str, bool]:
        return dict.fromkeys(dice.sample(WORDS, dice.randint(0, 3)), True)

    def _email_patch(self, dice: random.Random) -> Records:
        box = dice.choice(sorted(self._mailboxes.records))
        return dice.choice(
            (
                {"mailboxIds": self._homes(dice)},
                {"keywords": self._keywords(dice)},
                {f"keywords/{dice.choice(WORDS)}": dice.choice((True, None))},
                {f"mailboxIds/{box}": dice.choice((True, None))},
            )
        )

    async def _set_emails(self, dice: random.Random) -> None:
        chosen = self._some(dice, self._emails, 5)
        destroy = [chosen.pop() for _ in range(dice.choice((0, 0, 1, 2))) if chosen]
        create: Records = {}
        if dice.random() < 0.3:
            self._made += 1
            subject = f"Re: matter {dice.randrange(4)}"
            create["new"] = {"mailboxIds": self._homes(dice), "keywords": self._keywords(dice), "subject": subject}
        update = {each: self._email_patch(dice) for each in chosen}
        await self._change("Email/set", self._emails, dice, create=create, update=update, destroy=destroy)

    async def _import(self, dice: random.Random) -> None:
        jmap = dice.choice(self._processes)
        number = dice.randrange(1, 20)
        letter = plain_message(
            1000 + number, body="y" * dice.randrange(300), in_reply_to=f"<{number}@elsewhere.test>", subject="Re: it"
        )
        blob = await jmap.upload(letter, "message/rfc822")
        email = {"blobId": blob, "mailboxIds": self._homes(dice), "keywords": self._keywords(dice)}
        await self._change("Email/import", self._emails, dice, emails={"a": email})

    async def _set_mailboxes(self, dice: random.Random) -> None:
        match dice.randrange(4):
            case 0:
                parent = dice.choice((None, dice.choice(sorted(self._mailboxes.records))))
                arguments: Records = {"create": {"a": {"name": dice.choice(LEAVES), "parentId": parent}}}
            case 1:
                arguments = {
                    "destroy": self._some(dice, self._mailboxes, 1),
                    "onDestroyRemoveEmails": dice.random() < 0.5,
                }
            case _:
                parent = dice.choice((None, dice.choice(sorted(self._mailboxes.records))))
                patch = dice.choice(
                    (
                        {"name": dice.choice(LEAVES)},
                        {"parentId": parent},
                        {"isSubscribed": dice.random() < 0.5},
                        {"sortOrder": dice.randrange(5)},
                    )
                )
                arguments = {"update": dict.fromkeys(self._some(dice, self._mailboxes, 1), patch)}
        await self._change("Mailbox/set", self._mailboxes, dice, **arguments)

    async def _change(self, method: str, cache: Cache, dice: random.Random, **arguments: Any) -> None:
        """A refusal is one of them that the standard names, never a fault of ours."""
        if dice.random() < 0.2:
            arguments["ifInState"] = cache.state
        ((name, told, _),) = await dice.choice(self._processes).calls([method, arguments])
        if name == "error":
            assert told["type"] in _MISMATCH, (told, arguments)
            assert "ifInState" in arguments, (told, arguments)
            return
        refused = [told.get(each) or {} for each in ("notCreated", "notUpdated", "notDestroyed")]
        types = {error["type"] for each in refused for error in each.values()}
        assert not types & _OUR_FAULT, (told, arguments)
