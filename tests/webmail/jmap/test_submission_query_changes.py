"""EmailSubmission/queryChanges (RFC 8621 §7.4) while submissions change."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from mailserver.assembly import Parts
from mailserver.services.account_view import AccountView
from mailserver.services.account_views import AccountViews
from storage.store import MailStore
from tenants.types import Principal
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.test_submissions import draft, envelope, sent
from webmail.jmap import submission_methods
from webmail.jmap.limits import SUBMISSION, Limits
from webmail.jmap.method import Context


class Overtaken(AccountViews):
    """Somebody is at work just after the account was looked at."""

    def __init__(self, store: MailStore, deed: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(store)
        self._deed = deed

    async def of(self, who: Principal) -> AccountView:
        view = await super().of(who)
        await self._deed()
        return view


async def test_what_changes_while_somebody_asks_what_changed_in_a_query_stands_at_its_place(
    jmap: Jmap, parts: Parts
) -> None:
    email = await draft(jmap)
    await sent(jmap, email)
    asked = {"accountId": jmap.account_id, "sort": [{"property": "sentAt", "isAscending": False}]}
    before = await jmap.call("EmailSubmission/query", asked)
    waiting = (await sent(jmap, email, envelope=envelope(jmap, "bob@elsewhere.test", HOLDFOR="600")))["id"]
    await sent(jmap, email)

    async def cancel() -> None:
        await jmap.call("EmailSubmission/set", {"update": {waiting: {"undoStatus": "canceled"}}})

    overtaken = replace(parts, account_views=Overtaken(parts.store, cancel))
    context = Context(overtaken, jmap.person.principal, Limits(), frozenset({SUBMISSION}))
    ids, state = before["ids"], before["queryState"]
    for _ in range(2):
        told = await submission_methods.query_changes(context, {**asked, "sinceQueryState": state})
        ids, state = [each for each in ids if each not in told["removed"]], told["newQueryState"]
        for each in told["added"]:
            ids.insert(each["index"], each["id"])
    assert ids == (await jmap.call("EmailSubmission/query", asked))["ids"]
