"""The page `Sign-in and devices`, and the ends of sessions."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from storage.own_credentials import ListedAppPassword
from storage.passkeys import KeptPasskey
from storage.web_sessions import ListedSession
from webmail.pages.rendering import page, words_of
from webmail.pages.sign_in.clients import described
from webmail.pages.sign_in.gates import HOME, redirect, signed_in
from webmail.pages.sign_in.moments import told, told_day
from webmail.pages.sign_in.visit import Visit
from webmail.pages.words import Words

NOTICES = (
    "password",
    "ended",
    "all",
    "revoked",
    "totp",
    "totp_on",
    "passkey",
    "renamed",
    "removed",
)


@require_safe
@signed_in
async def overview(request: HttpRequest, visit: Visit) -> HttpResponse:
    words = words_of(request)
    done = [each for each in (request.GET.get("done"), request.GET.get("also")) if each in NOTICES]
    factors = await visit.factors.of(visit.who)
    in_words = _InWords(words, visit.who.time_zone)
    standing = await visit.credentials.standing(visit.who)
    facts = {
        "notice": words["space"].join(words[f"done_{each}"] for each in done),
        "lead": words["account_lead"].format(address=visit.who.address),
        "password_changed": words["password_changed"].format(day=in_words.day(standing.password_changed_at)),
        "factors": factors,
        "needs_app_passwords": factors.are_any or standing.app_passwords_only,
        "totp_since": in_words.day_in("since", factors.totp_since),
        "passkeys": [in_words.passkey(each) for each in await visit.passkeys.list(visit.who)],
        "recovery_left": words["recovery_left"].format(count=factors.codes_left),
        "app_passwords": [in_words.app_password(each) for each in await visit.credentials.app_passwords(visit.who)],
        "sessions": in_words.sessions(await visit.parts.web_sessions.list(visit.who), visit.signed_in.id),
    }
    return page(request, "sign_in/account.html", facts)


@require_POST
@signed_in
async def end_session(request: HttpRequest, visit: Visit) -> HttpResponse:
    await visit.parts.web_sessions.end(visit.who, posted_id(request), network=visit.network)
    return redirect(HOME, done="ended")


@require_POST
@signed_in
async def end_others(_request: HttpRequest, visit: Visit) -> HttpResponse:
    await visit.parts.web_sessions.end_others(visit.signed_in, network=visit.network)
    return redirect(HOME, done="all")


def posted_id(request: HttpRequest) -> int:
    """Raises Http404 for what is no id."""
    text = request.POST.get("id", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)


class _InWords:
    """Rows of the page: what they are called, and a line of facts."""

    def __init__(self, words: Words, time_zone: str) -> None:
        self._words = words
        self._time_zone = time_zone

    def day(self, moment: datetime) -> str:
        return told_day(moment, time_zone=self._time_zone, tag=self._words["tag"])

    def moment(self, moment: datetime) -> str:
        return told(moment, time_zone=self._time_zone, tag=self._words["tag"])

    def day_in(self, word: str, moment: datetime | None) -> str:
        return self._words[word].format(day=self.day(moment)) if moment is not None else ""

    def _used(self, moment: datetime | None) -> str:
        return self.day_in("used", moment) or self._words["never_used"]

    def passkey(self, row: KeptPasskey) -> Mapping[str, object]:
        kind = self._words["passkey_synced" if row.is_backed_up else "passkey_bound"]
        facts = [kind, self.day_in("added", row.created_at), self._used(row.last_used_at)]
        return {"id": row.id, "name": row.name, "facts": facts}

    def app_password(self, row: ListedAppPassword) -> Mapping[str, object]:
        network = self._words["from_network"].format(network=row.last_used_network) if row.last_used_network else ""
        used = self._used(row.last_used_at) + (f" {network}" if network else "")
        facts = [", ".join(row.scopes.upper().split()), used, self.day_in("expires", row.expires_at)]
        return {"id": row.id, "name": row.name, "facts": [fact for fact in facts if fact]}

    def sessions(self, rows: Sequence[ListedSession], current: int) -> Sequence[Mapping[str, object]]:
        """This browser first."""
        return [self._session(row, current) for row in sorted(rows, key=lambda row: row.id != current)]

    def _session(self, row: ListedSession, current: int) -> Mapping[str, object]:
        words = self._words
        return {
            "id": row.id,
            "name": described(row.client, words["browser_on"], words["unknown_client"]),
            "is_current": row.id == current,
            "facts": [
                row.network,
                words["seen"].format(moment=self.moment(row.seen_at)),
                words["began"].format(moment=self.moment(row.created_at)),
            ],
        }
