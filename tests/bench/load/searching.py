"""SEARCH in the big mailbox for needles whose number is known, each from a new session."""

import asyncio
import re

from tests.bench.corpus import FROM_KEY, RARE, RARE_CJK, SUBJECT_KEY, needles
from tests.bench.load.imap_client import Failed
from tests.bench.load.rig import Rig
from tests.bench.load.seeding import LISTED, listing_user

_CJK = "search_text_cjk"
_LONG = ("search_text", "search_body", _CJK)
_TIMES = 5


async def search(rig: Rig) -> None:
    o = rig.options
    planted = needles(o.listed)
    for name, keys, expected in (
        ("search_text", b"TEXT " + RARE.encode(), planted[RARE]),
        ("search_body", b"BODY " + RARE.encode(), planted[RARE]),
        (_CJK, RARE_CJK.encode(), planted[RARE_CJK]),
        ("search_subject", b"SUBJECT " + SUBJECT_KEY.encode(), planted[SUBJECT_KEY]),
        ("search_from", b"FROM " + FROM_KEY.encode(), planted[FROM_KEY]),
        ("search_unseen_since", b"UNSEEN SINCE 1-Jan-2024", None),
    ):
        for _ in range(1 if name in _LONG else _TIMES):
            await _search_once(rig, name, keys, expected)


async def _search_once(rig: Rig, name: str, keys: bytes, expected: int | None) -> None:
    client = await rig.imap(listing_user(rig.options.rep), LISTED)
    meter = rig.meter().start()
    try:
        asked = client.search_text(b"UTF-8", keys) if name == _CJK else client.whole_answer(b"SEARCH " + keys)
        answer = await asyncio.wait_for(asked, rig.options.timeout_s)
    except (Failed, TimeoutError) as error:
        meter.stop().tell(name, 0, errors=1, failed=str(error) or "timeout")
    else:
        found = re.search(rb"\* SEARCH([ 0-9]*)", answer)
        hits = len(found.group(1).split()) if found else -1
        meter.stop().tell(name, 1, hits=hits, expected=expected, right=expected is None or hits == expected)
    client.close()
