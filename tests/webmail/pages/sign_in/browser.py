"""A browser without script: it keeps cookies, and posts the forms it is shown."""

import html
import json
import re
from typing import Any

import pyotp
from django.test import AsyncClient

from mailserver.assembly import Parts
from tests.people import Person
from tests.webmail.pages.sign_in.authenticator import Authenticator
from webmail.pages.sign_in.visit import PARTS

HOST = "localhost:8080"
ORIGIN = f"http://{HOST}"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_OPTIONS = re.compile(r'data-options="([^"]+)"')


class Client(AsyncClient):
    """Django's, whose requests come from `network` to a process with these parts."""

    def __init__(self, parts: Parts, network: str, *, host: str, agent: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._more = {PARTS: parts, "client": [network, 50_000]}
        self._headers = [(b"host", host.encode()), (b"user-agent", agent.encode())]

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        scope = {**super()._base_scope(**request), **self._more}
        query = scope.get("query_string", b"")
        scope["headers"] = [*(each for each in scope["headers"] if each[0] != b"host"), *self._headers]
        scope["query_string"] = query.encode() if isinstance(query, str) else query  # octets, as ASGI says
        return scope


class Browser:
    """`network` is where it is."""

    def __init__(self, parts: Parts, person: Person, *, network: str = "192.0.2.40", agent: str = "") -> None:
        self.parts = parts
        self.person = person
        self.network = network
        self.client = Client(parts, network, host=HOST, agent=agent or LINUX, enforce_csrf_checks=True)
        self.secret = ""

    def another(self, **settings: str) -> "Browser":
        """Of the same person."""
        other = Browser(self.parts, self.person, **settings)
        other.secret = self.secret
        return other

    async def get(self, path: str, **options: Any) -> Any:
        return await self.client.get(path, **options)

    async def post(self, path: str, values: "dict[str, Any] | None" = None, *, page: str | None = None) -> Any:
        """Fill in the form that stands on `page`; without one, the page of the same path."""
        shown = await self.client.get(page or path)
        token = _TOKEN.search(shown.content.decode())
        assert token is not None, f"there is no form at {page or path}: {shown.status_code}"
        values = {**(values or {}), "csrfmiddlewaretoken": token[1]}
        return await self.client.post(path, values, headers={"Origin": ORIGIN})

    async def sign_in(self, password: str | None = None, **more: str) -> Any:
        values = {"address": self.person.address, "password": password or self.person.password, **more}
        return await self.post("/sign-in", values)

    async def set_up_totp(self) -> list[str]:
        """The recovery codes."""
        text = (await self.get("/account/authenticator")).content.decode()
        found = re.search(r'secret small"><code>([A-Z2-7 ]+)<', text)
        assert found is not None
        self.secret = found[1].replace(" ", "")
        response = await self.post("/account/authenticator", {"code": pyotp.TOTP(self.secret).now()})
        assert response.status_code == 200, response.headers
        return codes_on(response)

    async def options_on(self, path: str) -> dict[str, Any]:
        """What the page hands to the browser's passkeys."""
        found = _OPTIONS.search((await self.get(path)).content.decode())
        assert found is not None, f"there is nothing about passkeys at {path}"
        options: dict[str, Any] = json.loads(html.unescape(found[1]))
        return options

    async def add_passkey(self, authenticator: Authenticator, name: str = "Laptop") -> Any:
        options = await self.options_on("/account/passkeys/new")
        answer = authenticator.create(options, origin=ORIGIN)
        return await self.post("/account/passkeys/new", {"name": name, "answer": answer})


def codes_on(response: Any) -> list[str]:
    return re.findall(r"<li><code>([a-z0-9-]+)</code>", response.content.decode())
