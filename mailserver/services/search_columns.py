"""The columns of a search page: how they are packed, and how a search reads them. Pure.

A text column is folded text, one entry a message, parted by NULs, so that looking for a text in a thousand messages is
one `bytes.find`. Entries are cut to ENTRY_CHARACTERS and then end in CUT, which no text holds: whoever does not find
what it looks for in such an entry has to read the message's header.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b

from mailserver.mime.description import COLUMN_CHARACTERS
from mailserver.mime.envelope_people import EnvelopePeople, sort_display, sort_mailbox, written
from mailserver.mime.fields import Fields
from mailserver.mime.folding import collation_key, fold
from mailserver.mime.header import display
from mailserver.mime.thread_tree import UNRELATED
from mailserver.mime.threads import is_reply_or_forward, message_id_of, parents_of
from storage.search_pages import PackedFacts

ENTRY_CHARACTERS = COLUMN_CHARACTERS
CUT = "\x01"
_CUT_OCTET = CUT.encode()
_REFERENCES_KEPT = 100
_TYPECODES = {"uids": "I"}  # of facts; the others are "q"


# Facts


def pack_facts(facts: PackedFacts) -> bytes:
    """A count, then the arrays one after another, little-endian."""
    return struct.pack("<I", len(facts.uids)) + b"".join(
        [_octets(getattr(facts, field.name)) for field in fields(PackedFacts)]
    )


def unpack_facts(octets: bytes) -> PackedFacts:
    """Raises ValueError if this is not what `pack_facts` made."""
    if len(octets) < 4:
        raise ValueError("facts are cut")
    (count,) = struct.unpack_from("<I", octets)
    position = 4
    arrays: dict[str, array[int]] = {}
    for field in fields(PackedFacts):
        values = array(_TYPECODES.get(field.name, "q"))
        end = position + count * values.itemsize
        arrays[field.name] = _array(values.typecode, octets[position:end])
        position = end
    if position != len(octets):
        raise ValueError("facts are cut")
    return PackedFacts(**arrays)


def _octets(values: "array[int]") -> bytes:
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


def _array(typecode: str, octets: bytes) -> "array[int]":
    values = array(typecode, octets)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def facts_between(facts: PackedFacts, begin: int, end: int) -> PackedFacts:
    return PackedFacts(*[getattr(facts, field.name)[begin:end] for field in fields(PackedFacts)])


def facts_joined(several: Sequence[PackedFacts]) -> PackedFacts:
    """One after another."""
    arrays: list[array[int]] = []
    for field in fields(PackedFacts):
        joined = array(_TYPECODES.get(field.name, "q"))
        for facts in several:
            joined.extend(getattr(facts, field.name))
        arrays.append(joined)
    return PackedFacts(*arrays)


def stamp_of(uids: "array[int]") -> int:
    """Tells pages of different messages apart; a positive bigint."""
    return int.from_bytes(blake2b(_octets(uids), digest_size=8).digest(), "big") >> 1


# Texts


def text_column(texts: Iterable[str]) -> bytes:
    """Folded and ready to be looked through."""
    return fold("\0".join([_entry(text) for text in texts])).encode("utf-8", "replace")


def _entry(text: str) -> str:
    return text if len(text) < ENTRY_CHARACTERS else text[:ENTRY_CHARACTERS] + CUT


def needle_of(text: str) -> bytes:
    return fold(text).encode("utf-8", "replace")


def entries_with(column: bytes, needle: bytes) -> list[int]:
    """Which entries hold the needle. An empty one is held by every entry that is not empty."""
    if not needle:
        return [index for index, entry in enumerate(column.split(b"\0")) if entry]
    found: list[int] = []
    if _CUT_OCTET in needle or b"\0" in needle:
        return found
    return _entries(column, needle)


def entries_cut(column: bytes) -> list[int]:
    return _entries(column, _CUT_OCTET)


def _entries(column: bytes, needle: bytes) -> list[int]:
    found: list[int] = []
    index = counted = 0
    position = column.find(needle)
    while position >= 0:
        index += column.count(b"\0", counted, position)
        found.append(index)
        counted = column.find(b"\0", position)
        if counted < 0:
            break
        position = column.find(needle, counted)
    return found


def aligned(uids: "array[int]", texts: Sequence[str], wanted: "array[int]") -> list[str]:
    """The texts of `wanted` uids; empty for those that are not there."""
    if uids == wanted:
        return list(texts)
    known = dict(zip(uids, texts, strict=True))
    return [known.get(uid, "") for uid in wanted]


# Several columns in one


def pack_columns(columns: Sequence[bytes]) -> bytes:
    return struct.pack(f"<{len(columns)}I", *map(len, columns)) + b"".join(columns)


def unpack_columns(octets: bytes, count: int) -> list[bytes]:
    """Raises ValueError if this is not what `pack_columns` made."""
    if len(octets) < 4 * count:
        raise ValueError("columns are cut")
    lengths = struct.unpack_from(f"<{count}I", octets)
    if 4 * count + sum(lengths) != len(octets):
        raise ValueError("columns are cut")
    columns: list[bytes] = []
    position = 4 * count
    for length in lengths:
        columns.append(octets[position : position + length])
        position += length
    return columns


# People


@dataclass(frozen=True, slots=True)
class AddressColumns:
    """Text columns."""

    senders: bytes
    to: bytes
    cc: bytes
    bcc: bytes


def address_columns(people: Sequence[EnvelopePeople]) -> AddressColumns:
    return AddressColumns(
        senders=text_column([written(each.senders) for each in people]),
        to=text_column([written(each.to) for each in people]),
        cc=text_column([written(each.cc) for each in people]),
        bcc=text_column([written(each.bcc) for each in people]),
    )


@dataclass(frozen=True, slots=True)
class SortColumns:
    """Collation keys, parted by NULs."""

    subject: bytes
    sender: bytes
    to: bytes
    cc: bytes
    display_sender: bytes
    display_to: bytes


def sort_columns(people: Sequence[EnvelopePeople], base_subjects: Sequence[str]) -> SortColumns:
    return SortColumns(
        subject=_key_column(base_subjects),
        sender=_key_column([sort_mailbox(each.senders) for each in people]),
        to=_key_column([sort_mailbox(each.to) for each in people]),
        cc=_key_column([sort_mailbox(each.cc) for each in people]),
        display_sender=_key_column([sort_display(each.senders) for each in people]),
        display_to=_key_column([sort_display(each.to) for each in people]),
    )


def _key_column(texts: Iterable[str]) -> bytes:
    joined = "\0".join([text[:ENTRY_CHARACTERS] for text in texts])
    return collation_key(joined).encode("utf-8", "replace")


# Threads


@dataclass(frozen=True, slots=True)
class ThreadingFacts:
    """Of one message: its Message-ID and those it refers to as numbers, and whether its subject marks a reply."""

    is_reply: bool
    message_id: int
    references: "array[int]"


NO_THREADING = ThreadingFacts(False, UNRELATED, array("Q"))


def threading_facts(fields_: Fields) -> ThreadingFacts:
    """Of a chain longer than _REFERENCES_KEPT its beginning and its end stay, with a gap between."""
    references = [_number(each) for each in parents_of(fields_)]
    if len(references) > _REFERENCES_KEPT:
        half = _REFERENCES_KEPT // 2
        references = [*references[:half], UNRELATED, *references[-half:]]
    own = message_id_of(fields_)
    is_reply = is_reply_or_forward(display(fields_.get("subject", "")))
    return ThreadingFacts(is_reply, _number(own) if own else UNRELATED, array("Q", references))


def _number(message_id: bytes) -> int:
    return int.from_bytes(blake2b(message_id, digest_size=8).digest(), "big") or 1


def pack_threading(messages: Sequence[ThreadingFacts]) -> bytes:
    numbers = array("Q")
    for each in messages:
        numbers.append(each.is_reply | len(each.references) << 1)
        numbers.append(each.message_id)
        numbers.extend(each.references)
    return _octets(numbers)


def unpack_threading(octets: bytes) -> list[ThreadingFacts]:
    """Raises ValueError if this is not what `pack_threading` made."""
    numbers = _array("Q", octets)
    messages: list[ThreadingFacts] = []
    position = 0
    while position + 1 < len(numbers):
        head, message_id = numbers[position], numbers[position + 1]
        end = position + 2 + (head >> 1)
        messages.append(ThreadingFacts(bool(head & 1), message_id, numbers[position + 2 : end]))
        position = end
    if position != len(numbers):
        raise ValueError("threading is cut")
    return messages
