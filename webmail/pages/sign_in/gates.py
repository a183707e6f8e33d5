"""Who may see a page of one's own account: who has signed in, and for some, who has shown lately who they are."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from mailserver.services.sign_in_errors import SessionEnded
from mailserver.services.web_sessions import is_fresh
from storage.errors import KeyUnusable, StoreUnavailable
from webmail.pages.rendering import page
from webmail.pages.sign_in.cookies import forget_session
from webmail.pages.sign_in.visit import Visit, find_session, visit_of

HOME = "/account"
Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Visit, Rest], Coroutine[Any, Any, HttpResponse]]
Outer = Callable[Concatenate[HttpRequest, Rest], Coroutine[Any, Any, HttpResponse]]


def visited(view: View[Rest]) -> Outer[Rest]:
    """The view gets the visit. Where the store is away it is said so; who was signed out meanwhile signs in again."""

    @wraps(view)
    async def answer(request: HttpRequest, /, *arguments: Rest.args, **named: Rest.kwargs) -> HttpResponse:
        try:
            try:
                return await view(request, await visit_of(request), *arguments, **named)
            except SessionEnded:
                return await _after_an_end(request)
        except DisallowedHost:
            return HttpResponse(
                "This server has another name. / 此服务器使用其他名称。", "text/plain; charset=utf-8", 400
            )
        except (StoreUnavailable, KeyUnusable):
            response = page(request, "sign_in/unavailable.html", {}, status=503)
            response.headers["Retry-After"] = "5"
            return response

    return answer


async def _after_an_end(request: HttpRequest) -> HttpResponse:
    """Whose session was ended signs in again; who has it still ended something else of theirs at this moment, or sent a
    form twice."""
    session = await find_session(request)
    if session is not None and session.is_open:
        return redirect(HOME)
    response = redirect_to_sign_in(request)
    forget_session(response, await visit_of(request))
    return response


def signed_in(view: View[Rest]) -> Outer[Rest]:
    """For somebody who has signed in; others do so first, and come back."""

    @visited
    @wraps(view)
    async def answer(
        request: HttpRequest, visit: Visit, /, *arguments: Rest.args, **named: Rest.kwargs
    ) -> HttpResponse:
        if visit.session is None or not visit.session.is_open:
            return redirect_to_sign_in(request)
        return await view(request, visit, *arguments, **named)

    return answer


def fresh(view: View[Rest]) -> Outer[Rest]:
    """For somebody who has shown lately who they are; others show it again, and come back."""

    @signed_in
    @wraps(view)
    async def answer(
        request: HttpRequest, visit: Visit, /, *arguments: Rest.args, **named: Rest.kwargs
    ) -> HttpResponse:
        if not is_fresh(visit.signed_in):
            return redirect("/sign-in/again", next=request.get_full_path())
        return await view(request, visit, *arguments, **named)

    return answer


def redirect_to_sign_in(request: HttpRequest) -> HttpResponse:
    return redirect("/sign-in", next=request.get_full_path() if request.method == "GET" else HOME)


def redirect(path: str, **query: Any) -> HttpResponse:
    return HttpResponseRedirect(f"{path}?{urlencode(query)}" if query else path, headers={"Cache-Control": "no-store"})


def safe_next(request: HttpRequest) -> str:
    """Where to go afterwards: a path of ours, whatever the link says."""
    asked = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = asked.startswith("/") and url_has_allowed_host_and_scheme(asked, allowed_hosts=None)
    return asked if is_ours else HOME
