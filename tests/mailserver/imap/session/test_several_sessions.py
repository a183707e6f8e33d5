"""Several sessions on one mailbox at once: each client, believing its own responses, ends with the same picture."""

import random
import re
from dataclasses import dataclass, field

import pytest

from mailserver.imap.session.conversation import Services
from mailserver.services import mailboxes
from tests.people import Person
from tests.transcripts.runner import Client, Transcript

STEPS = 60
_COUNTED = re.compile(r"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*))?")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_UID = re.compile(r"UID (\d+)")
_SILENT = re.compile(r"(UID )?STORE (\d+):(\d+) ([+-])FLAGS\.SILENT \((.*)\)")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Junk")
USES_NUMBERS = ("FETCH", "STORE", "SEARCH")


@dataclass(slots=True)
class Known:
    """What a client knows of one message; None: it was not told yet."""

    uid: int | None = None
    flags: frozenset[str] | None = None


@dataclass(slots=True)
class Believer:
    """A client that keeps a picture of the mailbox from what it is told, and nothing else."""

    client: Client
    is_condstore: bool
    messages: list[Known] = field(default_factory=list)
    tag: int = 0

    async def say(self, command: str) -> list[str]:
        self.tag += 1
        await self.client.send(f"t{self.tag} {command}\r\n".encode())
        lines, self.client.lines = list(self.client.lines), []
        assert lines[-1].startswith(f"t{self.tag} "), (command, lines)
        assert " BAD " not in lines[-1], (command, lines)
        if silent := _SILENT.match(command):
            self.work_out(silent)
        for line in lines:
            self.hear(line, command)
        return lines

    def work_out(self, silent: re.Match[str]) -> None:
        """What .SILENT leaves to the client (RFC 3501 §6.4.6); what it cannot know, it forgets."""
        ends = sorted((int(silent[2]), int(silent[3])))
        for number, message in enumerate(self.messages, start=1):
            place = message.uid if silent[1] else number
            if place is None:
                message.flags = None
            elif message.flags is not None and ends[0] <= place <= ends[1]:
                named = set(silent[5].split())
                message.flags = message.flags | named if silent[4] == "+" else message.flags - named

    def hear(self, line: str, command: str) -> None:
        counted = _COUNTED.match(line)
        if counted is None:
            return
        number, kind, data = int(counted[1]), counted[2], counted[3] or ""
        if kind == "EXISTS":
            assert number >= len(self.messages), (command, line)
            self.messages += [Known() for _ in range(number - len(self.messages))]
        elif kind == "EXPUNGE":
            assert not command.startswith(USES_NUMBERS), (command, line)
            del self.messages[number - 1]
        else:
            self.learn(self.messages[number - 1], data)

    def learn(self, message: Known, data: str) -> None:
        if uid := _UID.search(data):
            assert message.uid in (None, int(uid[1])), (message, data)
            message.uid = int(uid[1])
        if flags := _FLAGS.search(data):
            message.flags = frozenset(flags[1].split()) - {"\\Recent"}

    def command(self, dice: random.Random) -> str:
        """Something to do, with numbers that are right as far as this client knows."""
        count = len(self.messages)
        if not count or dice.random() < 0.25:
            return dice.choice(["NOOP", "CHECK", "EXPUNGE", "UID FETCH 1:* FLAGS", "UID SEARCH UNSEEN", "NOOP"])
        some = f"{dice.randint(1, count)}:{dice.randint(1, count)}"
        flags = " ".join(dice.sample(FLAGS, dice.randint(1, 2)))
        silent = dice.choice(["", ".SILENT"])
        return dice.choice(
            [
                f"STORE {some} {dice.choice('+-')}FLAGS{silent} ({flags})",
                f"STORE {some} FLAGS ({flags})",
                f"UID STORE {some} +FLAGS{silent} ({flags})",
                f"FETCH {some} (UID FLAGS)",
                f"FETCH {some} (UID BODY[TEXT])",
                f"FETCH {some} (UID FLAGS RFC822.SIZE)",
                f"SEARCH {some} KEYWORD $Junk",
                f"COPY {dice.randint(1, count)} INBOX",
                f"MOVE {dice.randint(1, count)} {dice.choice(['INBOX', 'Elsewhere'])}",
                "APPEND INBOX (\\Seen) {9+}\r\nA: b\r\n\r\nc",
            ]
        )


@pytest.mark.parametrize("seed", range(8))
async def test_all_clients_end_with_the_same_picture(seed: int, imap: Services, person: Person) -> None:
    dice = random.Random(seed)
    await mailboxes.create(imap.store, person.principal, "Elsewhere")
    transcript = Transcript(imap, person)
    await transcript.run("= 5 messages in INBOX\n= selected INBOX\n2 = selected INBOX\n3 = selected INBOX")
    believers = [Believer(client, number == "3") for number, client in transcript.clients.items()]
    for believer in believers:
        believer.messages = [Known() for _ in range(5)]
        if believer.is_condstore:
            await believer.say("ENABLE CONDSTORE")
    for _ in range(STEPS):
        believer = dice.choice(believers)
        await believer.say(believer.command(dice))
    await believers[0].say("APPEND INBOX {9+}\r\nA: b\r\n\r\nc")  # so that there is something to compare
    for believer in believers:
        await believer.say("NOOP")
    pictures = []
    for believer in believers:
        told = [message.flags for message in believer.messages]
        await believer.say("FETCH 1:* (UID FLAGS)")
        now = [message.flags for message in believer.messages]
        assert all(before in (None, after) for before, after in zip(told, now, strict=True)), "flags went untold"
        await believer.say("FETCH 1:* (UID FLAGS RFC822.SIZE)")
        pictures.append([(message.uid, message.flags) for message in believer.messages])
        assert now == [message.flags for message in believer.messages], "the view differs from the rows"
    assert pictures[0] == pictures[1] == pictures[2]
