"""From MX records to the hosts to try, in order (RFC 5321 §5.1, RFC 7505). Pure: chance comes in as an argument."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from itertools import groupby

from mailserver.outbound.dns_answers import MxRecord, is_host_name

KEY_LIMIT_CHARACTERS = 255

Shuffle = Callable[[list[MxRecord]], None]


def is_null_mx(records: Sequence[MxRecord]) -> bool:
    """A root MX that stands alone says that the domain takes no mail; beside others it is an error and ignored."""
    return len(records) == 1 and not records[0].host


def usable(records: Sequence[MxRecord], limit: int) -> list[MxRecord]:
    """The best `limit` records that name a host, each host once, in an order that does not depend on chance."""
    best: dict[str, MxRecord] = {}
    for record in sorted(records):
        if record.host and is_host_name(record.host):
            best.setdefault(record.host, record)
    return list(best.values())[:limit]


def better_than_ours(records: Sequence[MxRecord], ours: Collection[str]) -> list[MxRecord]:
    """What is left when our own hosts, and all of equal or worse preference, are dropped."""
    own = [record.preference for record in records if record.host in ours]
    return [record for record in records if not own or record.preference < min(own)]


def shuffled(records: Sequence[MxRecord], shuffle: Shuffle) -> list[MxRecord]:
    """By preference, those of equal preference in any order (a MUST: it spreads the load)."""
    ordered: list[MxRecord] = []
    for _, equals in groupby(sorted(records), key=lambda record: record.preference):
        level = list(equals)
        shuffle(level)
        ordered += level
    return ordered


def site_key(records: Sequence[MxRecord]) -> str:
    """Equal for domains with the same hosts in the same order of preference, whatever the numbers."""
    levels = groupby(sorted(records), key=lambda record: record.preference)
    return shortened(";".join(",".join(record.host for record in level) for _, level in levels))


def shortened(key: str) -> str:
    if len(key) <= KEY_LIMIT_CHARACTERS:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{key[: KEY_LIMIT_CHARACTERS - len(digest) - 1]}~{digest}"
