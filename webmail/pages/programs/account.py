"""The page `Connected programs`: who has a person's leave, and the tokens they made themselves."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailserver.services.sign_in_errors import TooMany
from storage.tokens import ListedGrant, ListedToken
from tenants.types import Scope
from webmail.pages.rendering import page, words_of
from webmail.pages.sign_in.account import posted_id
from webmail.pages.sign_in.gates import fresh, redirect, signed_in
from webmail.pages.sign_in.moments import told_day
from webmail.pages.sign_in.problems import FORM
from webmail.pages.sign_in.visit import Visit
from webmail.pages.words import Words

PROGRAMS = "/account/programs"
LASTS_DAYS = (30, 90, 365, 0)
_LONGEST_NAME = 200
_NOTICES = ("taken_back", "token_revoked")


@require_safe
@signed_in
async def overview(request: HttpRequest, visit: Visit) -> HttpResponse:
    words = words_of(request)
    tokens, grants = await visit.parts.logins.tokens.list(visit.who)
    asked = request.GET.get("done", "")
    facts = {
        "notice": words[f"done_{asked}"] if asked in _NOTICES else "",
        "lead": words["programs_lead"].format(address=visit.who.address),
        "grants": [_row(words, visit, grant, grant.client_name) for grant in grants],
        "tokens": [_row(words, visit, token, token.name) for token in tokens],
    }
    return page(request, "programs/overview.html", facts)


@require_http_methods(["GET", "HEAD", "POST"])
@fresh
async def add_token(request: HttpRequest, visit: Visit) -> HttpResponse:
    """What was made is shown in the answer itself: it is nowhere to be had again."""
    if request.method != "POST":
        return _form(request, frozenset({Scope.JMAP}), 90, {})
    words = words_of(request)
    name = request.POST.get("name", "").strip()
    scopes = frozenset(scope for scope in Scope if scope.value in request.POST.getlist("scope"))
    days = next((each for each in LASTS_DAYS if str(each) == request.POST.get("lasts")), LASTS_DAYS[0])
    errors = {}
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        errors["name"] = words["token_name_missing"]
    if not scopes:
        errors["scopes"] = words["token_scopes_missing"]
    token = None
    if not errors:
        lasts = timedelta(days=days) if days else None
        try:
            token = await visit.parts.logins.tokens.make(
                visit.who, name, scopes, lasts=lasts, now=datetime.now(UTC), network=visit.network
            )
        except TooMany as many:
            errors[FORM] = words["tokens_too_many"].format(limit=many.limit)
        else:
            if token is None:
                errors["name"] = words["token_name_taken"]
    if token is None:
        return _form(request, scopes, days, errors, status=422)
    return page(
        request, "programs/token_made.html", {"token": token, "lead": words["token_made_lead"].format(name=name)}
    )


@require_POST
@signed_in
async def revoke_token(request: HttpRequest, visit: Visit) -> HttpResponse:
    await visit.parts.logins.tokens.revoke(visit.who, posted_id(request), network=visit.network)
    return redirect(PROGRAMS, done="token_revoked")


@require_POST
@signed_in
async def take_back(request: HttpRequest, visit: Visit) -> HttpResponse:
    await visit.parts.logins.tokens.end_grant(visit.who, posted_id(request), network=visit.network)
    return redirect(PROGRAMS, done="taken_back")


def _form(
    request: HttpRequest, chosen: frozenset[Scope], days: int, errors: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    words = words_of(request)
    facts = {
        "errors": errors,
        "name": request.POST.get("name", ""),
        "scopes": [(scope.value, words[f"scope_{scope.value}"], scope in chosen) for scope in Scope],
        "lasts": [(each, words[f"lasts_{each}"], each == days) for each in LASTS_DAYS],
    }
    return page(request, "programs/token.html", facts, status=status)


def _row(words: Words, visit: Visit, row: ListedToken | ListedGrant, name: str) -> Mapping[str, object]:
    def day(word: str, moment: datetime) -> str:
        return words[word].format(day=told_day(moment, time_zone=visit.who.time_zone, tag=words["tag"]))

    facts = [", ".join(row.scopes.upper().split()), day("since", row.created_at)]
    facts.append(day("used", row.last_used_at) if row.last_used_at else words["never_used"])
    if isinstance(row, ListedToken) and row.expires_at:
        facts.append(day("expires", row.expires_at))
    return {"id": row.id, "name": name, "facts": facts}
