"""A program asks for leave in the browser, gets its tokens, and uses them (RFC 6749, RFC 7636, RFC 9207)."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg
import pytest

from mailserver.assembly import Parts
from tenants.types import Scope
from tests.conftest import RunningServices
from tests.mailserver.services.test_oauth import CHALLENGE, VERIFIER
from tests.webmail.pages.sign_in.browser import ORIGIN, Browser

ELSEWHERE = "https://webmailer.example/answer?from=waypost"
ASKED = {
    "response_type": "code",
    "client_id": "webmailer",
    "redirect_uri": ELSEWHERE,
    "scope": "jmap imap",
    "state": "xyz&=",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture(autouse=True)
def program(services: RunningServices) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO oauth_client (client_id, name, redirect_uris) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            ("webmailer", "<b>Webmailer</b>", [ELSEWHERE]),
        )


def path(**changed: str) -> str:
    return f"/oauth/authorize?{urlencode({**ASKED, **changed})}"


def told(response: Any) -> dict[str, str]:
    assert response.status_code == 302, response.content
    assert response.headers["Location"].startswith("https://webmailer.example/answer?from=waypost&")
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


async def test_a_person_gives_leave_and_takes_it_back(signed_in: Browser, parts: Parts) -> None:
    page = await signed_in.get(path())
    text = page.content.decode()
    assert "&lt;b&gt;Webmailer&lt;/b&gt; wants to use your mail" in text
    assert "send mail in your name" not in text
    assert "form-action 'self' https://webmailer.example;" in page.headers["Content-Security-Policy"]
    answer = told(await signed_in.post(path(), {"answer": "allow"}))
    assert (answer["state"], answer["iss"]) == ("xyz&=", ORIGIN)
    asked = {
        "grant_type": "authorization_code",
        "client_id": "webmailer",
        "redirect_uri": ELSEWHERE,
        "code": answer["code"],
        "code_verifier": VERIFIER,
    }
    response = await signed_in.another().client.post("/oauth/token", asked)
    tokens = response.json()
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert (tokens["token_type"], tokens["scope"], tokens["expires_in"]) == ("Bearer", "imap jmap", 3600)
    who = await parts.logins.tokens.principal(tokens["access_token"], network="192.0.2.1", scope=Scope.JMAP)
    assert who.account_id == signed_in.person.principal.account_id
    refreshed = await signed_in.another().client.post(
        "/oauth/token",
        {"grant_type": "refresh_token", "client_id": "webmailer", "refresh_token": tokens["refresh_token"]},
    )
    assert refreshed.status_code == 200
    overview = (await signed_in.get("/account/programs")).content.decode()
    assert "&lt;b&gt;Webmailer&lt;/b&gt;" in overview
    revoked = await signed_in.another().client.post(
        "/oauth/revoke", {"client_id": "webmailer", "token": refreshed.json()["refresh_token"]}
    )
    assert revoked.status_code == 200
    assert "&lt;b&gt;Webmailer" not in (await signed_in.get("/account/programs")).content.decode()


async def test_who_says_no_gives_nothing(signed_in: Browser) -> None:
    answer = told(await signed_in.post(path(), {"answer": "deny"}))
    assert (answer["error"], "code" in answer) == ("access_denied", False)


async def test_who_is_not_signed_in_signs_in_first_and_comes_back(browser: Browser) -> None:
    response = await browser.get(path())
    assert response.status_code == 302
    sign_in = urlsplit(response.headers["Location"])
    assert (sign_in.path, parse_qs(sign_in.query)["next"]) == ("/sign-in", [path()])


@pytest.mark.parametrize(
    "changed", [{"client_id": "nobody"}, {"redirect_uri": "https://evil.example/"}, {"client_id": "a\0b"}]
)
async def test_a_browser_is_never_sent_to_strangers(signed_in: Browser, changed: dict[str, str]) -> None:
    response = await signed_in.get(path(**changed))
    assert response.status_code == 400
    assert "Location" not in response.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
    ],
)
async def test_the_program_hears_what_it_asked_for_wrongly(
    signed_in: Browser, changed: dict[str, str], error: str
) -> None:
    assert told(await signed_in.get(path(**changed)))["error"] == error


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "client_id": "webmailer", "code": "x"}, "invalid_request"),
        (
            {"grant_type": "authorization_code", "client_id": "webmailer", "code": "x", "code_verifier": VERIFIER},
            "invalid_grant",
        ),
        ({"grant_type": "refresh_token", "client_id": "webmailer", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "client_id": "web\0", "refresh_token": "x"}, "invalid_client"),
    ],
)
async def test_the_token_endpoint_refuses_by_name(browser: Browser, asked: dict[str, str], error: str) -> None:
    response = await browser.client.post("/oauth/token", asked)
    assert (response.status_code, response.json()["error"]) == (400, error)


async def test_programs_find_the_endpoints(browser: Browser) -> None:
    found = (await browser.get("/.well-known/oauth-authorization-server")).json()
    assert found["token_endpoint"] == f"{ORIGIN}/oauth/token"
    assert found["code_challenge_methods_supported"] == ["S256"]


async def test_a_token_is_made_shown_once_and_revoked(signed_in: Browser, parts: Parts) -> None:
    wrong = await signed_in.post("/account/tokens/new", {"name": " ", "lasts": "30"})
    assert wrong.status_code == 422
    assert "Give it a name." in wrong.content.decode()
    made = await signed_in.post("/account/tokens/new", {"name": "Backup", "scope": ["jmap"], "lasts": "30"})
    token = made.content.decode().partition('secret"><code>')[2].partition("<")[0]
    assert await parts.logins.tokens.principal(token, network="", scope=Scope.JMAP)
    taken = await signed_in.post("/account/tokens/new", {"name": "Backup", "scope": ["jmap"], "lasts": "0"})
    assert "You have a token of this name." in taken.content.decode()
    overview = (await signed_in.get("/account/programs")).content.decode()
    assert token not in overview
    number = (
        overview.partition('action="/account/tokens/revoke"')[2].partition('name="id" value="')[2].partition('"')[0]
    )
    done = await signed_in.post("/account/tokens/revoke", {"id": number}, page="/account/programs")
    assert done.headers["Location"] == "/account/programs?done=token_revoked"
    assert "Backup" not in (await signed_in.get("/account/programs")).content.decode()


async def test_who_has_too_many_is_told_on_the_page_what_to_do(signed_in: Browser, services: RunningServices) -> None:
    who = signed_in.person.principal
    facts = {"tenant": who.tenant_id, "account": who.account_id}
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO bearer_token (tenant_id, account_id, name, scopes, digest)"
            " SELECT %(tenant)s, %(account)s, 'script ' || n, 'jmap', decode(md5(%(account)s || '-' || n), 'hex')"
            " FROM generate_series(1, 100) AS n",
            facts,
        )
        owner.execute(
            "INSERT INTO oauth_grant (tenant_id, account_id, client_id, scopes, code_digest, code_challenge,"
            " code_expires_at, code_spent_at, redirect_uri) SELECT %(tenant)s, %(account)s, 'webmailer', 'imap',"
            " decode(md5(%(account)s || '-' || n), 'hex'), '', now(), now(), '' FROM generate_series(1, 100) AS n",
            facts,
        )
    refused = await signed_in.post("/account/tokens/new", {"name": "One more", "scope": ["jmap"], "lasts": "30"})
    assert refused.status_code == 422
    assert "You have 100 tokens, which is the most. Revoke one first." in refused.content.decode()
    assert 'value="One more"' in refused.content.decode()
    refused = await signed_in.post(path(), {"answer": "allow"})
    assert (refused.status_code, "Location" in refused.headers) == (422, False)
    assert "100 programs have your leave, which is the most." in refused.content.decode()
    assert told(await signed_in.post(path(), {"answer": "deny"}))["error"] == "access_denied"
