"""A search that takes too long ends in NO [LIMIT], saves nothing, and the session goes on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailserver.imap.session.conversation import Services
from mailserver.services.searching import SearchConfig, Searches
from storage.database import Database
from storage.store import MailStore
from tests.conftest import RunningServices
from tests.imap_services import imap_services
from tests.people import new_person
from tests.transcripts.runner import Transcript


@pytest.fixture
async def hurried(store: MailStore, database: Database) -> AsyncIterator[Services]:
    async with imap_services(store, database) as services:
        searches = Searches(services.store, SearchConfig(limit_s=0.0))
        yield replace(services, searches=searches)
        await searches.close()


async def test_a_search_that_takes_too_long_is_refused(hurried: Services, services: RunningServices) -> None:
    await Transcript(hurried, await asyncio.to_thread(new_person, services)).run(
        """
= 3 messages in INBOX
= selected INBOX
C: a1 SEARCH RETURN (SAVE) ALL
S: a1 OK <...>
C: a2 SEARCH RETURN (COUNT) $
S: * ESEARCH (TAG "a2") COUNT 3
S: a2 OK <...>
# one that saves nothing leaves what was saved, also when it fails
C: a3 SEARCH BODY noon
S: a3 NO [LIMIT] <...>
C: a4 SEARCH RETURN (COUNT) $
S: * ESEARCH (TAG "a4") COUNT 3
S: a4 OK <...>
C: a5 SEARCH RETURN (SAVE COUNT) BODY noon
S: a5 NO [LIMIT] <...>
C: a6 SEARCH RETURN (COUNT) $
S: * ESEARCH (TAG "a6") COUNT 0
S: a6 OK <...>
C: a7 SORT (SUBJECT) UTF-8 ALL
S: a7 NO [LIMIT] <...>
C: a8 NOOP
S: a8 OK <...>
"""
    )


async def test_many_keys_that_need_no_reading_count_too(hurried: Services, services: RunningServices) -> None:
    """What is in memory is not waited for; still the limit holds, and others have their turn."""
    await Transcript(hurried, await asyncio.to_thread(new_person, services)).run(
        f"""
= 3 messages in INBOX
= selected INBOX
C: a1 SEARCH {"UNKEYWORD x " * 1_000}ALL
S: a1 NO [LIMIT] <...>
C: a2 SEARCH UNKEYWORD x
S: * SEARCH 1 2 3
S: a2 OK <...>
"""
    )


async def test_hostile_searches_are_answered(imap: Services, services: RunningServices) -> None:
    nots, ors, parentheses = "NOT " * 98, "OR ALL " * 4_000, "(" * 98
    ranges = ",".join(f"{number}:{number + 1}" for number in range(1, 11_000, 2))
    await Transcript(imap, await asyncio.to_thread(new_person, services)).run(
        f"""
= 3 messages in INBOX
= selected INBOX
C: a1 SEARCH {nots}SUBJECT message
S: * SEARCH 1 2 3
S: a1 OK <...>
C: a2 SEARCH {ors}DELETED
S: * SEARCH 1 2 3
S: a2 OK <...>
C: a3 SEARCH {parentheses}SUBJECT message{")" * 98}
S: * SEARCH 1 2 3
S: a3 OK <...>
C: a4 SEARCH NOT {nots}NOT {nots} ALL
S: a4 BAD <...>
C: a5 SEARCH {ranges}
S: * SEARCH 1 2 3
S: a5 OK <...>
C: a6 SEARCH NOT UID {ranges}
S: * SEARCH
S: a6 OK <...>
C: a7 SEARCH {"ALL " * 5001}
S: a7 BAD <...>
C: a8 SEARCH CHARSET {"X" * 500} ALL
S: a8 NO [BADCHARSET (US-ASCII UTF-8)] <...>
C: a9 SORT ({"DATE " * 31}DATE) UTF-8 1:4294967295
S: * SORT 1 2 3
S: a9 OK <...>
C: b1 SEARCH SUBJECT "\\x"
S: b1 BAD <...>
C: b2 SEARCH SUBJECT "message" FROM ""
S: * SEARCH 1 2 3
S: b2 OK <...>
"""
    )
