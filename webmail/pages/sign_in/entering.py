"""Signing in: address and password, then a code or passkey where there is a second step; or a passkey alone."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailserver.services.sign_in_errors import SessionEnded
from storage.web_sessions import FoundSession
from webmail.pages.rendering import page, words_of
from webmail.pages.sign_in.cookies import forget_session, set_session
from webmail.pages.sign_in.gates import redirect, safe_next, signed_in, visited
from webmail.pages.sign_in.problems import EXPECTED, FORM, problem_of, with_headers
from webmail.pages.sign_in.visit import Visit

RESET = "manage.py account set ADDRESS --generate-password"
_GET_OR_POST = ["GET", "HEAD", "POST"]


@sensitive_post_parameters()
@require_http_methods(_GET_OR_POST)
@visited
async def sign_in(request: HttpRequest, visit: Visit) -> HttpResponse:
    if request.method != "POST":
        if visit.session is not None and visit.session.is_open:
            return redirect(safe_next(request))
        return _sign_in_page(request, visit, {})
    words = words_of(request)
    address, password = request.POST.get("address", "").strip(), request.POST.get("password", "")
    missing = {name: words["missing"] for name, value in (("address", address), ("password", password)) if not value}
    if missing:
        return _sign_in_page(request, visit, missing, status=422)
    try:
        began = await visit.sign_in.by_password(address, password, visit.visitor)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words)
        return with_headers(_sign_in_page(request, visit, problem.errors, status=problem.status), problem)
    if began.needs_code:
        return _entered(request, visit, began.token, redirect("/sign-in/code", next=safe_next(request)))
    return _entered(request, visit, began.token, redirect(safe_next(request)))


@require_POST
@visited
async def by_passkey(request: HttpRequest, visit: Visit) -> HttpResponse:
    """A passkey alone."""
    try:
        token = await visit.sign_in.by_passkey(request.POST.get("answer", ""), visit.place, visit.visitor)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words_of(request))
        return _sign_in_page(request, visit, problem.errors, status=problem.status)
    return _entered(request, visit, token, redirect(safe_next(request)))


@sensitive_post_parameters()
@require_http_methods(_GET_OR_POST)
@visited
async def second_step(request: HttpRequest, visit: Visit) -> HttpResponse:
    """The password was right: a code of the app, a recovery code, or a passkey."""
    session = visit.session
    if session is None:
        return redirect("/sign-in", next=safe_next(request))
    if session.is_open:
        return redirect(safe_next(request))
    if request.method != "POST":
        return await _second_step_page(request, visit, session, {})
    try:
        if answer := request.POST.get("answer", ""):
            token = await visit.sign_in.with_passkey(session, answer, visit.place, visit.visitor)
        else:
            token = await visit.sign_in.with_code(session, request.POST.get("code", ""), visit.visitor)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words_of(request))
        return with_headers(
            await _second_step_page(request, visit, session, problem.errors, status=problem.status), problem
        )
    return _entered(request, visit, token, redirect(safe_next(request)))


@sensitive_post_parameters()
@require_http_methods(_GET_OR_POST)
@signed_in
async def again(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Show once more who one is, before what changes how one signs in."""
    if request.method != "POST":
        return await _again_page(request, visit, {})
    session = visit.signed_in
    try:
        if answer := request.POST.get("answer", ""):
            token = await visit.sign_in.again_by_passkey(session, answer, visit.place, visit.visitor)
        else:
            token = await visit.sign_in.again_by_password(session, request.POST.get("password", ""), visit.visitor)
    except EXPECTED as refusal:
        words = words_of(request)
        problem = problem_of(refusal, words)
        errors = problem.errors
        if errors.get(FORM) == words["wrong_password"]:
            errors = {"password": words["password_old_wrong"]}
        return with_headers(await _again_page(request, visit, errors, status=problem.status), problem)
    return _entered(request, visit, token, redirect(safe_next(request)))


@require_POST
@visited
async def sign_out(_request: HttpRequest, visit: Visit) -> HttpResponse:
    """Also where the second step has not been taken."""
    if visit.session is not None:
        await visit.parts.web_sessions.sign_out(visit.session, network=visit.network)
    response = redirect("/sign-in", done="signed_out")
    forget_session(response, visit)
    return response


@require_safe
@visited
async def forgotten(request: HttpRequest, _visit: Visit) -> HttpResponse:
    command = words_of(request)["forgotten_admin"].split("{command}")
    return page(request, "sign_in/forgotten.html", {"before": command[0], "command": RESET, "after": command[1]})


def _entered(request: HttpRequest, visit: Visit, token: str, response: HttpResponse) -> HttpResponse:
    """The forms of before are good no more, whoever has seen them."""
    rotate_token(request)
    set_session(response, visit, token)
    return response


def _sign_in_page(request: HttpRequest, visit: Visit, errors: Mapping[str, str], *, status: int = 200) -> HttpResponse:
    words = words_of(request)
    facts = {
        "errors": errors,
        "address": request.POST.get("address", ""),
        "next": safe_next(request),
        "options": visit.passkeys.options_to_sign_in(visit.place),
        "notice": words["signed_out"] if request.GET.get("done") == "signed_out" else "",
    }
    return page(request, "sign_in/sign_in.html", facts, status=status, with_script=True)


async def _second_step_page(
    request: HttpRequest, visit: Visit, session: FoundSession, errors: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    factors = await visit.factors.of(session.who)
    if not factors.are_any:  # they were removed at this moment: sign in anew, without
        raise SessionEnded
    facts = {
        "errors": errors,
        "next": safe_next(request),
        "address": str(session.who.address),
        "has_totp": factors.totp_since is not None,
        "options": await visit.passkeys.options_beside(session.who, visit.place),
    }
    return page(request, "sign_in/second_step.html", facts, status=status, with_script=True)


async def _again_page(
    request: HttpRequest, visit: Visit, errors: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    facts = {
        "errors": errors,
        "next": safe_next(request),
        "lead": words_of(request)["again_lead"].format(address=visit.who.address),
        "address": str(visit.who.address),
        "options": await visit.passkeys.options_beside(visit.who, visit.place),
    }
    return page(request, "sign_in/again.html", facts, status=status, with_script=True)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or of another visit: whoever posted it did not see our page."""
    return page(request, "sign_in/csrf.html", {}, status=403)
