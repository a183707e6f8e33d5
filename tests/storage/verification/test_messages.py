"""Rows of messages: header, segments, list of blobs, and that somebody has them."""

import random

import pytest

from storage.verification.findings import Kind
from tests.conftest import plain_message
from tests.letters import TEXT, attachment, lines_of, multipart
from tests.someone import ADD, DELETED, Someone
from tests.storage.verification.damage import Damager

PARTS = multipart(TEXT, attachment(lines_of(random.Random(5).randbytes(100_001), 76, ends=True)), TEXT)
MESSAGES = frozenset({"messages"})


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("UPDATE message SET octets = octets + 1", Kind.MESSAGE_SEGMENTS),
        ("UPDATE message SET header_octets = header_octets + 1", Kind.MESSAGE_HEADER),
        ("UPDATE message SET header = set_byte(header, 0, 9)", Kind.MESSAGE_HEADER),
        ("UPDATE message SET header = substr(header, 1, length(header) - 3)", Kind.MESSAGE_HEADER),
        ("UPDATE message SET envelope = substr(envelope, 1, length(envelope) - 3)", Kind.MESSAGE_WIRE),
        ("UPDATE message SET envelope = ''", Kind.MESSAGE_WIRE),
        ("UPDATE message SET segments = ''", Kind.MESSAGE_SEGMENTS),
        ("UPDATE message SET segments = substr(segments, 1, 30)", Kind.MESSAGE_SEGMENTS),
        ("UPDATE message SET segments = substr(segments, 31)", Kind.MESSAGE_SEGMENTS),
        ("UPDATE message SET segments = set_byte(segments, 2, 5)", Kind.MESSAGE_SEGMENTS),
        ("UPDATE message SET segments = set_byte(segments, 58, 1)", Kind.MESSAGE_SEGMENTS),
        ("DELETE FROM message_blob WHERE ordinal = 0 AND", Kind.MESSAGE_BLOB),
        ("DELETE FROM message_blob WHERE ordinal = 1 AND", Kind.MESSAGE_SEGMENTS),
        ("UPDATE blob SET octets = octets - 1", Kind.MESSAGE_SEGMENTS),
        ("DELETE FROM blob", Kind.MESSAGE_BLOB),
        ("DELETE FROM placement", Kind.MESSAGE_UNPLACED),
    ],
)
async def test_a_message_that_does_not_add_up_is_found(ada: Someone, damager: Damager, damage: str, kind: Kind) -> None:
    await ada.receive(PARTS)
    assert (await damager.look(rebuilds=True)).findings == []
    await damager.sql(damage + ("" if damage.endswith("AND") else " WHERE") + " tenant_id = {t}")
    looked = await damager.look(parts=MESSAGES)
    assert set(looked.kinds) == {kind}
    assert {each.account_id for each in looked.findings} == {ada.who.account_id}


async def test_a_message_whose_content_cannot_be_read_is_found_by_rebuilding(ada: Someone, damager: Damager) -> None:
    await ada.receive(plain_message(1))
    await ada.receive(PARTS)
    await damager.sql("UPDATE blob_content SET key_id = 99 WHERE tenant_id = {t} AND length(sealed) > 50000")
    assert (await damager.look(parts=MESSAGES)).findings == []
    assert (await damager.look(parts=MESSAGES, rebuilds=True)).kinds == [Kind.MESSAGE_UNREADABLE]


async def test_placements_of_a_message_that_have_other_flags_are_found(ada: Someone, damager: Damager) -> None:
    await ada.receive()
    await ada.copy("INBOX", [1], "Sent")
    await ada.flag("INBOX", [1], ADD, DELETED)
    assert (await damager.look()).findings == [], "it is deleted in one of them"
    await damager.sql("UPDATE placement SET flags = flags | 1 WHERE tenant_id = {t} AND flags = 0")
    assert (await damager.look(parts=MESSAGES)).kinds == [Kind.MESSAGE_FLAGS]
