"""Second factors of one's own: the authenticator app, recovery codes, passkeys. All of it asks for a fresh proof, and
offers to sign out everywhere else in the same act: whoever changes how they sign in may have a reason."""

from collections.abc import Mapping, Sequence

import segno
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from mailserver.services.second_factors import Enrolment
from mailserver.services.sign_in_errors import CodeWrong, FactorExists, FactorMissing
from webmail.pages.rendering import page, words_of
from webmail.pages.sign_in.clients import described
from webmail.pages.sign_in.gates import HOME, fresh, redirect
from webmail.pages.sign_in.problems import EXPECTED, problem_of, with_headers
from webmail.pages.sign_in.visit import Visit

_GET_OR_POST = ["GET", "HEAD", "POST"]
_KEY_GROUP_CHARACTERS = 4


@require_http_methods(_GET_OR_POST)
@fresh
async def set_up_totp(request: HttpRequest, visit: Visit) -> HttpResponse:
    words = words_of(request)
    try:
        enrolment = await visit.factors.enrol(visit.who)
        if request.method != "POST":
            return _totp_page(request, enrolment, {})
        codes = await visit.factors.confirm(
            visit.signed_in,
            request.POST.get("code", ""),
            ends_others=_ends_others(request),
            network=visit.network,
        )
    except FactorExists:
        return redirect(HOME)
    except CodeWrong:
        return _totp_page(request, enrolment, {"code": words["totp_wrong"]}, status=422)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words)
        return with_headers(_totp_page(request, enrolment, problem.errors, status=problem.status), problem)
    return _codes_page(request, codes) if codes else _done(request, "totp_on")


@require_http_methods(_GET_OR_POST)
@fresh
async def remove_totp(request: HttpRequest, visit: Visit) -> HttpResponse:
    factors = await visit.factors.of(visit.who)
    if factors.totp_since is None:
        return redirect(HOME)
    if request.method != "POST":
        facts = {"is_last": factors.passkeys == 0, "ends_others": _ends_others(request)}
        return page(request, "sign_in/totp_remove.html", facts)
    try:
        await visit.factors.remove_totp(visit.signed_in, ends_others=_ends_others(request), network=visit.network)
    except FactorMissing:
        return redirect(HOME)
    return _done(request, "totp")


@require_http_methods(_GET_OR_POST)
@fresh
async def renew_codes(request: HttpRequest, visit: Visit) -> HttpResponse:
    if request.method != "POST":
        return page(request, "sign_in/codes_renew.html", {"ends_others": _ends_others(request)})
    try:
        codes = await visit.factors.renew_codes(
            visit.signed_in, ends_others=_ends_others(request), network=visit.network
        )
    except FactorMissing:
        return redirect(HOME)
    return _codes_page(request, codes)


@require_http_methods(_GET_OR_POST)
@fresh
async def add_passkey(request: HttpRequest, visit: Visit) -> HttpResponse:
    words = words_of(request)
    if request.method != "POST":
        name = described(visit.visitor.client, words["browser_on"], words["unknown_client"])
        return await _passkey_page(request, visit, name, {})
    name = request.POST.get("name", "")
    try:
        codes = await visit.passkeys.make(
            visit.signed_in,
            visit.place,
            name=name,
            answer=request.POST.get("answer", ""),
            ends_others=_ends_others(request),
            network=visit.network,
        )
    except EXPECTED as refusal:
        problem = problem_of(refusal, words)
        return await _passkey_page(request, visit, name, problem.errors, status=problem.status)
    return _codes_page(request, codes) if codes else _done(request, "passkey")


@require_http_methods(_GET_OR_POST)
@fresh
async def edit_passkey(request: HttpRequest, visit: Visit, passkey_id: int) -> HttpResponse:
    """Its name, and the way to its removal."""
    kept = next((each for each in await visit.passkeys.list(visit.who) if each.id == passkey_id), None)
    if kept is None:
        raise Http404
    factors = await visit.factors.of(visit.who)
    is_last = factors.passkeys == 1 and factors.totp_since is None
    facts = {"passkey": kept, "is_last": is_last, "ends_others": True}
    if request.method != "POST":
        return page(request, "sign_in/passkey_edit.html", {**facts, "name": kept.name, "errors": {}})
    name = request.POST.get("name", "")
    try:
        await visit.passkeys.rename(visit.who, passkey_id, name, network=visit.network)
    except EXPECTED as refusal:
        problem = problem_of(refusal, words_of(request))
        named = {**facts, "name": name, "errors": problem.errors}
        return page(request, "sign_in/passkey_edit.html", named, status=problem.status)
    except FactorMissing:
        return redirect(HOME)
    return redirect(HOME, done="renamed")


@require_http_methods(_GET_OR_POST)
@fresh
async def remove_passkey(request: HttpRequest, visit: Visit, passkey_id: int) -> HttpResponse:
    if request.method != "POST":  # who has just shown anew who they are comes back here
        return redirect(f"/account/passkeys/{passkey_id}")
    try:
        await visit.passkeys.remove(
            visit.signed_in, passkey_id, ends_others=_ends_others(request), network=visit.network
        )
    except FactorMissing:
        return redirect(HOME)
    return _done(request, "removed")


def _ends_others(request: HttpRequest) -> bool:
    """The box that is ticked when the page is first shown."""
    return request.method != "POST" or "elsewhere" in request.POST


def _done(request: HttpRequest, what: str) -> HttpResponse:
    return redirect(HOME, done=what, **({"also": "all"} if _ends_others(request) else {}))


def _totp_page(
    request: HttpRequest, enrolment: Enrolment, errors: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    secret = enrolment.secret
    starts = range(0, len(secret), _KEY_GROUP_CHARACTERS)
    facts = {
        "errors": errors,
        "ends_others": _ends_others(request),
        "qr": segno.make(enrolment.address, error="m").svg_data_uri(scale=5, border=2, light="#fff"),
        "key": " ".join(secret[start : start + _KEY_GROUP_CHARACTERS] for start in starts),
    }
    return page(request, "sign_in/totp.html", facts, status=status)


def _codes_page(request: HttpRequest, codes: Sequence[str]) -> HttpResponse:
    return page(request, "sign_in/codes.html", {"codes": codes, "ended_others": _ends_others(request)})


async def _passkey_page(
    request: HttpRequest, visit: Visit, name: str, errors: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    factors = await visit.factors.of(visit.who)
    facts = {
        "errors": errors,
        "name": name,
        "is_first": not factors.are_any,
        "ends_others": _ends_others(request),
        "options": await visit.passkeys.options_to_make(visit.who, visit.place),
    }
    return page(request, "sign_in/passkey.html", facts, status=status, with_script=True)
