"""The session's cookie in answers."""

from django.http import HttpResponse

from mailserver.services.web_sessions import LASTS_S
from webmail.pages.sign_in.visit import Visit


def set_session(response: HttpResponse, visit: Visit, token: str) -> None:
    response.set_cookie(
        visit.cookie, token, max_age=LASTS_S, path="/", secure=not visit.is_plain, httponly=True, samesite="Lax"
    )


def forget_session(response: HttpResponse, visit: Visit) -> None:
    response.delete_cookie(visit.cookie, path="/", samesite="Lax")
    response.cookies[visit.cookie]["secure"] = not visit.is_plain  # else a browser refuses to overwrite it
