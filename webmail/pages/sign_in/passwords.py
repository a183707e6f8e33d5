"""One's own password, and app passwords."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from mailserver.services.errors import LoginFailed
from mailserver.services.sign_in_errors import FactorMissing
from tenants.types import Scope
from webmail.pages.rendering import page, words_of
from webmail.pages.sign_in.account import posted_id
from webmail.pages.sign_in.cookies import set_session
from webmail.pages.sign_in.gates import HOME, fresh, redirect, signed_in
from webmail.pages.sign_in.problems import EXPECTED, problem_of, with_headers
from webmail.pages.sign_in.visit import Visit

CHOSEN_AT_FIRST = frozenset({Scope.IMAP, Scope.SMTP})
_GET_OR_POST = ["GET", "HEAD", "POST"]


@sensitive_post_parameters()
@require_http_methods(_GET_OR_POST)
@signed_in
async def change_password(request: HttpRequest, visit: Visit) -> HttpResponse:
    """It asks for the old one, so nobody need show anew who they are."""
    if request.method != "POST":
        return _password_page(request, visit, {})
    words = words_of(request)
    old, new = request.POST.get("old", ""), request.POST.get("new", "")
    if new != request.POST.get("repeat", ""):
        return _password_page(request, visit, {"repeat": words["password_differs"]}, status=422)
    try:
        token = await visit.credentials.change_password(visit.signed_in, old, new, network=visit.network)
    except LoginFailed:
        return _password_page(request, visit, {"old": words["password_old_wrong"]}, status=422)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words)
        return with_headers(_password_page(request, visit, problem.errors, status=problem.status), problem)
    response = redirect(HOME, done="password")
    rotate_token(request)
    set_session(response, visit, token)  # whoever has a copy of the cookie of before is out too
    return response


@require_http_methods(_GET_OR_POST)
@fresh
async def add_app_password(request: HttpRequest, visit: Visit) -> HttpResponse:
    """What was made is shown in the answer itself: it is nowhere to be had again."""
    if request.method != "POST":
        return _app_password_page(request, CHOSEN_AT_FIRST, {})
    chosen = frozenset(scope for scope in Scope if scope.value in request.POST.getlist("scope"))
    name = request.POST.get("name", "")
    try:
        password = await visit.credentials.add_app_password(visit.who, name, chosen, network=visit.network)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words_of(request))
        return _app_password_page(request, chosen, problem.errors, status=problem.status)
    lead = words_of(request)["app_password_made_lead"].format(name=name.strip())
    return page(request, "sign_in/app_password_made.html", {"password": password, "lead": lead})


@require_POST
@signed_in
async def revoke_app_password(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Taking away needs no more than being signed in: who has lost a device is in a hurry."""
    try:
        await visit.credentials.revoke_app_password(visit.who, posted_id(request), network=visit.network)
    except FactorMissing:
        return redirect(HOME)
    return redirect(HOME, done="revoked")


def _password_page(request: HttpRequest, visit: Visit, errors: Mapping[str, str], *, status: int = 200) -> HttpResponse:
    facts = {"errors": errors, "address": str(visit.who.address)}
    return page(request, "sign_in/password.html", facts, status=status)


def _app_password_page(
    request: HttpRequest, chosen: frozenset[Scope], errors: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    words = words_of(request)
    facts = {
        "errors": errors,
        "name": request.POST.get("name", ""),
        "scopes": [(scope.value, words[f"scope_{scope.value}"], scope in chosen) for scope in Scope],
    }
    return page(request, "sign_in/app_password.html", facts, status=status)
