"""Every transcript beside this file, held with a real server over real sockets, on both event loops."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from mailserver.services.incoming import Addressee
from mailserver.smtp.config import Door
from storage.outgoing_types import ReturnContent
from tests.dialogues.script import Script, Stored, play, read_script
from tests.mailserver.smtp.doors import CONFIG, client_context, open_door
from tests.mailserver.smtp.people_in_memory import Delivered

HERE = Path(__file__).parent
DIALOGUES = sorted(path for door in Door for path in (HERE / door).glob("*.txt"))


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_server_says_what_the_transcript_says(
    path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(hold(Door(path.parent.name), read_script(path)))


async def hold(door: Door, script: Script) -> None:
    async with open_door(door, replace(CONFIG, **script.settings)) as opened:
        await play(
            script,
            opened.port,
            delivered=lambda: [_stored(each) for each in opened.town.delivered],
            tls=client_context(),
            is_tls_first=door is Door.SUBMISSIONS,
        )


def _stored(delivered: Delivered) -> Stored:
    mail = delivered.mail
    envelope = f"<{mail.reverse_path}>"
    if mail.return_content is not None:
        envelope += f" RET={'FULL' if mail.return_content is ReturnContent.FULL else 'HDRS'}"
    if mail.envelope_id is not None:
        envelope += f" ENVID={mail.envelope_id}"
    if mail.needs_utf8:
        envelope += " SMTPUTF8"
    return Stored(delivered.recipients, delivered.octets, envelope, tuple(map(_addressed, mail.addressees)))


def _addressed(addressee: Addressee) -> str:
    text = f"<{addressee.path}>"
    if addressee.notify is not None:
        text += f" NOTIFY={','.join(each.name or '' for each in addressee.notify)}"
    if addressee.original_recipient is not None:
        text += f" ORCPT={addressee.original_recipient}"
    return text
