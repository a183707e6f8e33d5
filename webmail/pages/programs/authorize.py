"""The authorisation endpoint (RFC 6749 §3.1): a program sends the browser here, and the person says yes or no."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from mailserver.services.oauth import Asked, OAuthRefused, RedirectRefused, asked_of
from mailserver.services.sign_in_errors import TooMany
from storage.tokens import OAuthClient
from tenants.types import Scope
from webmail.pages.headers import POLICY
from webmail.pages.rendering import page, words_of
from webmail.pages.sign_in.gates import signed_in
from webmail.pages.sign_in.problems import FORM
from webmail.pages.sign_in.visit import Visit

_LONGEST_STATE = 2_000


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
async def authorize(request: HttpRequest, visit: Visit) -> HttpResponse:
    """What is asked for stands in the query, also when the form comes back: it is checked both times."""
    asked_with = request.GET
    try:
        client, redirect_uri = await visit.parts.oauth.client(
            asked_with.get("client_id", ""), asked_with.get("redirect_uri", "")
        )
    except RedirectRefused as refused:
        reason = words_of(request)["leave_wrong"].format(reason=refused.description)
        return page(request, "programs/wrong.html", {"reason": reason}, status=400)
    state = asked_with.get("state", "")[:_LONGEST_STATE]
    try:
        asked = asked_of(
            client,
            redirect_uri,
            response_type=asked_with.get("response_type", ""),
            scope=asked_with.get("scope", ""),
            challenge=asked_with.get("code_challenge", ""),
            method=asked_with.get("code_challenge_method", ""),
        )
    except OAuthRefused as refused:
        return _answer(visit, redirect_uri, state, error=refused.kind, error_description=refused.description)
    if request.method != "POST":
        return _consent(request, visit, client, asked)
    if request.POST.get("answer") != "allow":
        return _answer(visit, redirect_uri, state, error="access_denied")
    try:
        code = await visit.parts.oauth.allow(visit.who, asked, network=visit.network)
    except TooMany as many:  # the person's to mend, so the program hears nothing yet
        reason = words_of(request)["grants_too_many"].format(limit=many.limit)
        return _consent(request, visit, client, asked, errors={FORM: reason}, status=422)
    return _answer(visit, redirect_uri, state, code=code)


def _consent(
    request: HttpRequest,
    visit: Visit,
    client: OAuthClient,
    asked: Asked,
    *,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    words = words_of(request)
    where = urlsplit(asked.redirect_uri)
    facts = {
        "title": words["leave_title"].format(program=client.name),
        "lead": words["leave_lead"].format(program=client.name, address=visit.who.address),
        "may": [words[f"may_{scope}"] for scope in Scope if scope in asked.scopes],
        "where": words["leave_where"].format(host=where.netloc or f"{where.scheme}:"),
        "action": request.get_full_path(),
        "errors": errors or {},
    }
    response = page(request, "programs/leave.html", facts, status=status)
    # Browsers hold the redirection that answers a form to the form's policy too.
    target = f"{where.scheme}://{where.netloc}" if where.netloc else f"{where.scheme}:"
    response.headers["Content-Security-Policy"] = POLICY.replace("form-action 'self'", f"form-action 'self' {target}")
    return response


def _answer(visit: Visit, redirect_uri: str, state: str, **told: str) -> HttpResponse:
    """Back to the program, with who answers (RFC 9207), so that it takes no answer for another server's."""
    more = {**told, **({"state": state} if state else {}), "iss": visit.place.origin}
    where = urlsplit(redirect_uri)
    query = "&".join(part for part in (where.query, urlencode(more)) if part)
    response = HttpResponse(status=302, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    response.headers["Location"] = urlunsplit(where._replace(query=query))  # of a scheme that the program registered
    return response
