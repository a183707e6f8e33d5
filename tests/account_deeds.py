"""What may happen to an account, at random, by any door: mail comes, is flagged, moved, expunged; mailboxes too."""

import contextlib
import random
from datetime import timedelta

from mailserver.services import mailboxes, recovering
from storage.errors import StorageError
from tests.conftest import NOON, plain_message
from tests.someone import ADD, ANSWERED, DELETED, DRAFT, FLAGGED, REMOVE, SEEN, Someone

KEYWORDS = ("$Forwarded", "Work", "$Junk")
SYSTEM = (SEEN, SEEN, SEEN, ANSWERED, FLAGGED, DELETED, DRAFT)
NAMES = ("Work", "Work/Old", "Play", "Trash/Old")


class Deeds:
    """Of one person, from a seed. `numbers` counts letters; some answer earlier ones, so that threads come to be."""

    def __init__(self, someone: Someone, seed: int) -> None:
        self._someone = someone
        self._dice = random.Random(seed)
        self._letters = 0

    async def some(self, count: int) -> None:
        for _ in range(count):
            await self.one()

    async def one(self) -> None:
        """One deed, or a refusal where it cannot be done."""
        dice = self._dice
        deed = dice.choices(
            (self._deliver, self._append, self._flag, self._move, self._copy, self._expunge, self._mailbox, self._bin),
            (6, 3, 6, 3, 2, 2, 2, 1),
        )[0]
        with contextlib.suppress(StorageError):
            await deed()

    def letter(self) -> bytes:
        dice = self._dice
        self._letters += 1
        fields = {"subject": f"Re: matter {dice.randrange(4)}", "from": f"P{dice.randrange(5)} <p@elsewhere.test>"}
        if self._letters > 1 and dice.random() < 0.6:
            fields["in_reply_to"] = f"<{dice.randrange(1, self._letters)}@elsewhere.test>"
        return plain_message(self._letters, body="x" * dice.randrange(1, 400), **fields)

    async def _deliver(self) -> None:
        await self._someone.receive(self.letter(), received_at=NOON + timedelta(minutes=self._dice.randrange(10_000)))

    async def _append(self) -> None:
        values = [each for each in (SEEN, DRAFT, "Work") if self._dice.random() < 0.4]
        moment = NOON + timedelta(minutes=self._dice.randrange(10_000))
        await self._someone.append(await self._name(), self.letter(), *values, received_at=moment)

    async def _name(self) -> str:
        return self._dice.choice(await self._someone.names())

    async def _some_uids(self, name: str) -> list[int]:
        uids = await self._someone.uids(name)
        return self._dice.sample(uids, min(len(uids), self._dice.randrange(1, 4)))

    async def _flag(self) -> None:
        name = await self._name()
        flag = self._dice.choice((*SYSTEM, *KEYWORDS))
        await self._someone.flag(name, await self._some_uids(name), self._dice.choice((ADD, ADD, REMOVE)), flag)

    async def _move(self) -> None:
        name = await self._name()
        await self._someone.move(name, await self._some_uids(name), await self._name())

    async def _copy(self) -> None:
        name = await self._name()
        await self._someone.copy(name, await self._some_uids(name), await self._name())

    async def _expunge(self) -> None:
        await self._someone.expunge(await self._name())

    async def _mailbox(self) -> None:
        dice, store, who = self._dice, self._someone.store, self._someone.who
        match dice.randrange(6):
            case 0 | 1:
                await mailboxes.create(store, who, dice.choice(NAMES))
            case 2:
                await mailboxes.delete(store, who, dice.choice(NAMES))
            case 3:
                await mailboxes.rename(store, who, await self._name(), dice.choice(NAMES))
            case 4:
                await mailboxes.subscribe(store, who, await self._name())
            case _:
                await mailboxes.unsubscribe(store, who, await self._name())

    async def _bin(self) -> None:
        if self._dice.random() < 0.5:
            await self._someone.empty_bin()
            return
        await recovering.recover(self._someone.store, self._someone.who)
