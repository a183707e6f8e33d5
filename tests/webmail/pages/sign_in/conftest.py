"""Somebody at a browser, before the pages of a process over real Postgres and Redis."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mailserver.assembly import Parts
from storage.provisioning import provision_account
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.jmap.conftest import parts
from tests.webmail.pages.sign_in.browser import Browser

__all__ = ["parts"]

NewBrowser = Callable[[], Awaitable[Browser]]


@pytest.fixture
def new_browser(services: RunningServices, parts: Parts) -> NewBrowser:
    """Of somebody new, in a company of their own."""

    async def make() -> Browser:
        person = await asyncio.to_thread(new_person, services)
        who = person.principal
        await provision_account(parts.store.database, who.tenant_id, who.account_id)
        return Browser(parts, person)

    return make


@pytest.fixture
async def browser(new_browser: NewBrowser) -> Browser:
    return await new_browser()


@pytest.fixture
async def signed_in(browser: Browser) -> Browser:
    response = await browser.sign_in()
    assert response.status_code == 302
    return browser
