"""Rows that name accounts, mailboxes and messages which are not there."""

import pytest

from storage.verification.findings import Kind
from tests.conftest import RunningServices, plain_message
from tests.people import Person, new_person
from tests.someone import Someone
from tests.storage.verification.damage import Damager

REFERENCES = frozenset({"references"})


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("DELETE FROM account_state", {Kind.ACCOUNT_WITHOUT_STATE}),
        ("DELETE FROM mailbox", {Kind.MAILBOX_WITHOUT_ROW}),
        ("DELETE FROM message", set()),
        ("DELETE FROM placement", set()),
    ],
)
async def test_what_names_nothing_is_found(ada: Someone, damager: Damager, damage: str, kinds: set[Kind]) -> None:
    await ada.receive(plain_message())
    assert (await damager.look()).findings == []
    await damager.sql(f"{damage} WHERE tenant_id = {{t}}")
    assert set((await damager.look(parts=REFERENCES)).kinds) == kinds


async def test_blobs_kept_for_a_message_that_is_gone_are_found(ada: Someone, damager: Damager) -> None:
    await ada.receive(plain_message())
    await damager.sql("DELETE FROM message WHERE tenant_id = {t}")
    await damager.sql("DELETE FROM placement WHERE tenant_id = {t}")
    assert (await damager.look(parts=REFERENCES)).kinds == [Kind.BLOB_USE_WITHOUT_MESSAGE]


async def test_a_person_whose_first_mail_has_not_come_is_no_finding(
    services: RunningServices, damager: Damager
) -> None:
    person: Person = new_person(services)
    theirs = Damager(damager.owner_url, damager.store, person.principal.tenant_id)
    assert (await theirs.look()).findings == []


async def test_keys_that_are_gone_are_found(ada: Someone, damager: Damager) -> None:
    await ada.receive(plain_message())
    await damager.sql("DELETE FROM data_key WHERE tenant_id = {t} AND purpose = 'naming'")
    damager.store.keys.forget(damager.tenant_id)
    assert (await damager.look()).kinds == [Kind.KEYS_UNUSABLE]
