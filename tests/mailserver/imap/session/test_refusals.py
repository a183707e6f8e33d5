"""Every error that a service can raise has its answer."""

from collections.abc import Iterator

import pytest

from mailserver.imap.session.refusals import NOT_OF_IMAP, REFUSALS, refusal_of
from mailserver.imap.wire.commands import Append, AppendMessage, Copy, Move, Select, Tag
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import Condition
from mailserver.imap.wire.sequence import UidSet
from mailserver.sasl import SaslError
from mailserver.services.errors import LoginThrottled, ServiceError
from mailserver.services.spool import SpoolUnavailable
from storage.errors import MailboxNotFound, OverQuota, StorageError
from storage.types import Flags
from tenants.errors import TenantsError


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    """The errors that are raised: those that have no kinds of their own, and that leave their module."""
    if not kind.__subclasses__() and not kind.__name__.startswith("_"):
        yield kind
    for each in kind.__subclasses__():
        yield from leaves(each)


@pytest.mark.parametrize("family", [StorageError, TenantsError, ServiceError, SaslError, SpoolUnavailable])
def test_every_error_is_in_the_table_or_is_none_of_imap(family: type[Exception]) -> None:
    ours = {kind for kind in leaves(family) if kind.__module__.startswith(("storage", "tenants", "mailserver"))}
    assert ours - REFUSALS.keys() - NOT_OF_IMAP == set()


def test_no_error_is_in_both() -> None:
    assert not REFUSALS.keys() & NOT_OF_IMAP


def test_a_full_mailbox_is_told_by_its_code() -> None:
    refusal = refusal_of(OverQuota(11, 10), None)
    assert refusal is not None
    assert (refusal.condition, refusal.code) == (Condition.NO, Code.OVERQUOTA)


TAG = Tag(b"a")


@pytest.mark.parametrize(
    "command",
    [
        Append(TAG, "x", AppendMessage(Flags(), None, 1)),
        Copy(TAG, UidSet(((1, 1),)), "x"),
        Move(TAG, UidSet(((1, 1),)), "x"),
    ],
)
def test_a_missing_target_may_be_created(command: Append | Copy | Move) -> None:
    refusal = refusal_of(MailboxNotFound("x"), command)
    assert refusal is not None
    assert refusal.code is Code.TRYCREATE


def test_a_missing_mailbox_elsewhere_is_nonexistent() -> None:
    refusal = refusal_of(MailboxNotFound("x"), Select(TAG, "x"))
    assert refusal is not None
    assert refusal.code is Code.NONEXISTENT


def test_whoever_is_throttled_learns_for_how_long() -> None:
    refusal = refusal_of(LoginThrottled(29.6), None)
    assert refusal is not None
    assert refusal.code is Code.UNAVAILABLE
    assert "30 seconds" in refusal.text


def test_what_nobody_expects_is_a_bug() -> None:
    assert refusal_of(KeyError("x"), None) is None
