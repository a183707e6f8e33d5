"""What is remembered of addresses for people who signed in, and for how long."""

import asyncio

import psycopg
import pytest

from mailserver.services.addresses import LIFETIME_S, Recipients
from mailserver.services.remembered import Remembered
from storage.store import MailStore
from tenants.errors import DomainNotLocal
from tests.conftest import RunningServices
from tests.people import Person, new_person


async def test_a_domain_that_becomes_ours_is_felt_by_who_signed_in_after_a_moment_and_by_others_at_once(
    store: MailStore, services: RunningServices
) -> None:
    now_s = 0.0
    recipients = Recipients(store, clock=lambda: now_s)
    ann = await asyncio.to_thread(new_person, services)
    bob = await asyncio.to_thread(new_person, services)
    rename_domain(services, bob, "soon-" + bob.principal.address.domain)
    with pytest.raises(DomainNotLocal):
        await recipients.resolve(bob.address, sender=ann.principal)
    rename_domain(services, bob, bob.principal.address.domain)
    with pytest.raises(DomainNotLocal):
        await recipients.resolve(bob.address, sender=ann.principal)
    reached = await recipients.resolve(bob.address)
    assert reached.recipients[0].account_id == bob.principal.account_id
    now_s = 2 * LIFETIME_S
    assert await recipients.resolve(bob.address, sender=ann.principal) == reached


async def test_an_address_that_is_taken_away_is_not_written_as_any_more_after_a_moment(
    store: MailStore, services: RunningServices
) -> None:
    now_s = 0.0
    recipients = Recipients(store, clock=lambda: now_s)
    ann = await asyncio.to_thread(new_person, services)
    assert await recipients.sender_addresses(ann.principal) == {ann.address}
    rename_domain(services, ann, "new-" + ann.principal.address.domain)
    assert await recipients.sender_addresses(ann.principal) == {ann.address}
    now_s = LIFETIME_S
    assert await recipients.sender_addresses(ann.principal) == {f"ann@new-{ann.principal.address.domain}"}


def test_the_oldest_answers_are_forgotten_when_there_are_too_many() -> None:
    remembered = Remembered[str, int](lifetime_s=5, limit=2, clock=lambda: 0)
    for number, key in enumerate(("one", "two", "one", "three")):
        remembered.keep(key, number)
    assert [remembered.find(key) for key in ("one", "two", "three")] == [2, None, 3]


def test_an_answer_is_remembered_for_a_moment() -> None:
    now_s = 0.0
    remembered = Remembered[str, int](lifetime_s=5, limit=2, clock=lambda: now_s)
    remembered.keep("one", 1)
    now_s = 5.0
    assert remembered.find("one") is None


def rename_domain(services: RunningServices, person: Person, name: str) -> None:
    """Of a person who is alone in a company."""
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("UPDATE domain SET name = %s WHERE tenant_id = %s", [name, person.principal.tenant_id])
