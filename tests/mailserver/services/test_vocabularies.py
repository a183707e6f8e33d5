"""Pieces of words are found by the words of the account, as they are found by reading."""

import pytest

from mailserver.services.search_keys import BodyContains, TextContains
from mailserver.services.vocabularies import MOST_WORDS, Vocabularies, extend_vocabulary
from storage import message_text
from storage.message_text import Standing
from storage.store import MailStore
from tests.conftest import Company, plain_message
from tests.mailserver.services.test_text_search import LETTERS, TABLE, filed, index, uids
from tests.someone import ADD, DELETED, Someone


async def extended(ada: Someone, *, step_rows: int = 1, most_rows: int = 32, anew_purged: int = 1_000) -> Standing:
    """How far search knows the account afterwards."""
    whose = (ada.who.tenant_id, ada.who.account_id)
    await extend_vocabulary(ada.store, *whose, step_rows=step_rows, most_rows=most_rows, anew_purged=anew_purged)
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        stands = await message_text.standing(connection, *whose)
    assert stands is not None
    return stands


@pytest.fixture(scope="module")
def kept() -> dict[str, Someone]:
    return {}


@pytest.fixture
async def ada(store: MailStore, company: Company, kept: dict[str, Someone]) -> Someone:
    """With letters whose words are all in the vocabulary."""
    if not kept:
        someone, _ = await filed(store, company, *LETTERS)
        await index(someone)
        assert not (await extended(someone)).has_tail
        kept["ada"] = someone
    return kept["ada"]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
async def test_the_same_is_found_as_without_it(ada: Someone, text: str, expected: list[int]) -> None:
    assert await uids(ada, BodyContains(text)) == expected


@pytest.mark.parametrize("text", ["race", "ace@elsewhere", "ace grace elsew"])
async def test_pieces_of_names_and_addresses_are_text_and_not_body(ada: Someone, text: str) -> None:
    assert await uids(ada, TextContains(text)) == [1]
    assert await uids(ada, BodyContains(text)) == []


async def test_it_grows_by_steps_and_what_came_since_is_found_too(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, plain_message(1, body="unbelievable"), plain_message(2, body="believers"))
    await index(ada)
    assert (await extended(ada, step_rows=3)).vocabulary == 0
    assert await uids(ada, BodyContains("eliev")) == [1, 2]
    assert not (await extended(ada, step_rows=2)).has_tail
    assert await uids(ada, BodyContains("eliev")) == [1, 2]
    await ada.receive(plain_message(3, body="disbelief, relieved"))
    assert await uids(ada, BodyContains("eliev")) == [1, 2, 3]
    await index(ada)
    assert (await extended(ada, step_rows=2)).has_tail
    assert await uids(ada, BodyContains("eliev")) == [1, 2, 3]
    assert not (await extended(ada)).has_tail
    assert await uids(ada, BodyContains("eliev")) == [1, 2, 3]


@pytest.mark.parametrize("most_rows", [32, 1, 0], ids=["added", "joined", "joined each time"])
async def test_a_process_that_knows_it_learns_of_what_was_added(
    store: MailStore, company: Company, most_rows: int
) -> None:
    ada, _ = await filed(store, company, plain_message(1, body="unbelievable"))
    vocabularies = Vocabularies(store)
    for body, words in (("relieve", ["unbelievable", "relieve"]), ("other", ["unbelievable", "relieve"])):
        await ada.receive(plain_message(2, body=body))
        await index(ada)
        until = (await extended(ada, most_rows=most_rows)).vocabulary
        found = await vocabularies.words_with(ada.who, "liev", at_end=False, until=until)
        assert sorted(found or ()) == sorted(words)
    assert await vocabularies.words_with(ada.who, "lieve", at_end=True, until=until) == ["relieve"]


async def test_a_piece_of_very_many_words_is_looked_for_by_reading(store: MailStore, company: Company) -> None:
    words = " ".join(f"a{number}xy" for number in range(MOST_WORDS + 1))
    ada, _ = await filed(store, company, plain_message(1, body=words), plain_message(2), plain_message(3, body="bxyz"))
    await index(ada)
    until = (await extended(ada)).vocabulary
    assert await Vocabularies(store).words_with(ada.who, "xy", at_end=False, until=until) is None
    assert await uids(ada, BodyContains("xy")) == [1, 3]


async def test_words_of_deleted_mail_leave_it_when_it_is_made_anew(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, plain_message(1, body="confidential"), plain_message(2))
    await index(ada)
    await extended(ada)
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    await ada.empty_bin()
    until = (await extended(ada)).vocabulary
    assert await Vocabularies(store).words_with(ada.who, "dential", at_end=False, until=until) == ["confidential"]
    until = (await extended(ada, anew_purged=1)).vocabulary
    assert await Vocabularies(store).words_with(ada.who, "dential", at_end=False, until=until) == []
    assert await Vocabularies(store).words_with(ada.who, "oon", at_end=False, until=until) == ["noon"]
