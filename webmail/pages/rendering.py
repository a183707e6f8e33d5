"""Pages as the reader gets them: in their language, with the headers that go with what a page holds."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from tenants.errors import LanguageUnknown
from tenants.locality import known_language
from webmail.pages.headers import POLICY
from webmail.pages.programs.words import CHINESE as CHINESE_OF_PROGRAMS
from webmail.pages.programs.words import ENGLISH as ENGLISH_OF_PROGRAMS
from webmail.pages.sign_in.visit import known_visit
from webmail.pages.sign_in.words import CHINESE as CHINESE_OF_SIGN_IN
from webmail.pages.sign_in.words import ENGLISH as ENGLISH_OF_SIGN_IN
from webmail.pages.words import Words, words_for

_ASSETS = Path(__file__).parent / "assets"
STYLESHEET = (_ASSETS / "waypost.css").read_bytes()
STYLESHEET_VERSION = hashlib.sha256(STYLESHEET).hexdigest()[:12]
PASSKEY_SCRIPT = (_ASSETS / "passkeys.js").read_bytes()
PASSKEY_SCRIPT_VERSION = hashlib.sha256(PASSKEY_SCRIPT).hexdigest()[:12]
POLICY_WITH_SCRIPT = POLICY + "; script-src 'self'"
LANGUAGE_COOKIE = "waypost-language"
YEAR_S = 31_536_000


def page(
    request: HttpRequest,
    template: str,
    facts: Mapping[str, object],
    *,
    status: int = 200,
    with_script: bool = False,
) -> HttpResponse:
    """A page that anybody may see, or, where a visit is known, one of theirs, which nobody keeps."""
    words = words_of(request)
    visit = known_visit(request)
    session = visit.session if visit is not None else None
    context = {
        "words": words,
        "other_language": _other_language(request, words),
        "stylesheet_version": STYLESHEET_VERSION,
        "script_version": PASSKEY_SCRIPT_VERSION if with_script else "",
        "who": session.who if session is not None and session.is_open else None,
        **facts,
    }
    response = render(request, template, context, status=status)
    response._has_been_logged = True  # type: ignore[attr-defined]  # refusals are for people; Django would warn of each
    response.headers["Content-Language"] = words["tag"]
    response.headers["Cache-Control"] = "no-cache" if visit is None else "no-store"
    if visit is not None:
        response.headers["Referrer-Policy"] = "same-origin"  # without it forms are posted with the origin `null`
    if with_script:
        response.headers["Content-Security-Policy"] = POLICY_WITH_SCRIPT
    patch_vary_headers(response, ["Accept-Language", "Cookie"])
    _remember_language(request, response)
    return response


def words_of(request: HttpRequest) -> Words:
    """The language asked for by the link, now or before; else the person's; else the browser's."""
    visit = known_visit(request)
    asked = [request.GET.get("language", ""), request.COOKIES.get(LANGUAGE_COOKIE, "")]
    if visit is not None and visit.session is not None:
        asked.append(visit.session.who.language)
    known = next((tag for tag in asked if _is_known(tag)), "")
    words = words_for(known, request.headers.get("Accept-Language", ""))
    if words["tag"] == "zh-Hans":
        return {**words, **CHINESE_OF_SIGN_IN, **CHINESE_OF_PROGRAMS}
    return {**words, **ENGLISH_OF_SIGN_IN, **ENGLISH_OF_PROGRAMS}


def _is_known(tag: str) -> bool:
    try:
        known_language(tag)
    except LanguageUnknown:
        return False
    return True


def _other_language(request: HttpRequest, words: Words) -> str:
    """The query of the link to this page in the other language."""
    query = request.GET.copy()
    query["language"] = words["other_query"]
    return query.urlencode()


def _remember_language(request: HttpRequest, response: HttpResponse) -> None:
    asked = request.GET.get("language", "")
    if asked and _is_known(asked):
        response.set_cookie(
            LANGUAGE_COOKIE,
            known_language(asked),
            max_age=YEAR_S,
            secure=settings.CSRF_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
