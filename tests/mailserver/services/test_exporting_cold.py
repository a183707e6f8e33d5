"""Exporting what rests in S3, and bringing large letters back there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailserver.services.exporting import MailFormat
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.errors import ColdTierUnavailable
from storage.parts.homes import PartStore
from storage.store import MailStore
from tests.conftest import Company, plain_message
from tests.letters import TEXT, attachment, lines_of, multipart
from tests.mailserver.services.test_exporting import bring, export, mail_of
from tests.someone import SEEN, Someone

LARGE = [multipart(TEXT, attachment(lines_of(bytes([number]) * 3_000_000, 76, ends=True))) for number in range(3)]


@pytest.fixture
async def store_with_parts(tiered_store: MailStore, objects: ObjectStore) -> AsyncIterator[MailStore]:
    parts = PartStore(tiered_store.database, objects, waiting_octets=0)
    yield replace(tiered_store, parts=parts)
    await parts.close()


@pytest.mark.parametrize("form", list(MailFormat))
async def test_large_letters_go_out_of_s3_and_come_back_to_it(
    store_with_parts: MailStore, company: Company, tmp_path: Path, form: MailFormat
) -> None:
    ada, bob = [Someone(store_with_parts, await company.person(name)) for name in ("ada", "bob")]
    for number, octets in enumerate(LARGE):
        await ada.append("INBOX", plain_message(number))
        await ada.append("INBOX", octets, SEEN)
    away = replace(ada, store=replace(ada.store, blobs=TieredBlobs(HotBlobs()), parts=None))
    with pytest.raises(ColdTierUnavailable):
        await export(away, tmp_path, form)
    await export(ada, tmp_path, form)
    (told, *_) = [each for each in await bring(bob, tmp_path) if each.name == "INBOX"]
    assert (told.added, told.complaints) == (6, [])
    assert await mail_of(bob) == await mail_of(ada)
    (told, *_) = [each for each in await bring(bob, tmp_path) if each.name == "INBOX"]
    assert (told.added, told.present) == (0, 6)
