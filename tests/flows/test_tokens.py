"""A program of somebody else's gets leave in the browser; with its token it reads and sends until it gives it back."""

import base64
import imaplib
import poplib
import re
import secrets
import smtplib
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from http.cookiejar import CookieJar
from typing import Any

import pytest

from mailserver.services.oauth import challenge_of
from tests.flows.clients import PATIENCE_S, append, sign_in
from tests.flows.installation import Installation, Person
from tests.flows.letters import letter
from tests.flows.test_programs import run

ANSWERS = "http://127.0.0.1:1/answer"
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


class Browser:
    """Cookies and forms, over HTTP."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._opener = urllib.request.build_opener(_Stay, urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        with self._opener.open(self.origin + path, timeout=30) as response:
            return str(response.read().decode())

    def submit(self, path: str, **values: str) -> str:
        """Where the answer leads."""
        found = _TOKEN.search(self.get(path))
        assert found is not None
        body = urllib.parse.urlencode({**values, "csrfmiddlewaretoken": found[1]}).encode()
        request = urllib.request.Request(self.origin + path, body, {"Origin": self.origin})  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as answer:
            self._opener.open(request, timeout=30)
        with answer.value:
            assert answer.value.code == 302, answer.value.read()
            return answer.value.headers["Location"]

    def post(self, path: str, **values: str) -> str:
        body = urllib.parse.urlencode(values).encode()
        with self._opener.open(self.origin + path, body, timeout=30) as response:
            return str(response.read().decode())


def token_for(installation: Installation, person: Person) -> tuple[str, str]:
    """As a native program gets it, with leave to read and to send; before it, the program's client id."""
    name = f"Mailer {secrets.token_hex(4)}"
    client_id = installation.manage("oauth", "add", name, ANSWERS, "--speak", "en").strip().rpartition(" ")[2]
    verifier = secrets.token_urlsafe(48)
    browser = Browser(f"http://localhost:{installation.port('http')}")
    browser.submit("/sign-in", address=person.address, password=person.password)
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": ANSWERS,
        "scope": "imap pop smtp",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    answer = browser.submit(f"/oauth/authorize?{urllib.parse.urlencode(asked)}", answer="allow")
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(answer).query)["code"][0]
    told = browser.post(
        "/oauth/token",
        grant_type="authorization_code",
        client_id=client_id,
        redirect_uri=ANSWERS,
        code=code,
        code_verifier=verifier,
    )
    found = re.search(r'"access_token": ?"([^"]+)"', told)
    assert found is not None
    return client_id, found[1]


def test_curl_reads_and_sends_with_the_token_of_a_program(installation: Installation) -> None:
    person = installation.person()
    _, token = token_for(installation, person)
    with sign_in(installation, person) as client:
        append(client, "INBOX", letter(subject="For the token"))

    def curl(url: str, *arguments: object, bearer: str = token, stdin: bytes = b"") -> bytes:
        done = run(
            *("curl", "--silent", "--show-error", "--cacert", installation.ca, "--user", f"{person.address}:"),
            *("--oauth2-bearer", bearer, url, *arguments),
            stdin=stdin,
        )
        return done.stdout if done.returncode == 0 else b"refused: %d" % done.returncode

    imap = f"imaps://localhost:{installation.port('imaps')}"
    assert b"SEARCH 1" in curl(f"{imap}/INBOX", "-X", 'SEARCH SUBJECT "For the token"')
    assert b"For the token" in curl(f"pop3s://localhost:{installation.port('pop3s')}/1")
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        options = ("--login-options", f"AUTH={mechanism}")
        assert b"SEARCH 1" in curl(f"{imap}/INBOX", "-X", "SEARCH 1", *options)
        sent = letter(subject=f"By {mechanism}", **{"from": person.address})
        addressed = ("--mail-from", person.address, "--mail-rcpt", person.address, "--upload-file", "-")
        answer = curl(f"smtps://localhost:{installation.port('submissions')}", *addressed, *options, stdin=sent)
        assert answer == b""
        assert curl(f"{imap}/INBOX", "-X", f'SEARCH SUBJECT "By {mechanism}"').split()[2:]
        assert curl(f"{imap}/INBOX", "-X", "SEARCH 1", *options, bearer=token[:-1]) == b"refused: 67"


def test_what_a_program_has_open_ends_when_it_gives_its_token_back(installation: Installation) -> None:
    """RFC 7009; the person's own connection stays."""
    person = installation.person()
    client_id, token = token_for(installation, person)
    response = f"user={person.address}\1auth=Bearer {token}\1\1"
    shown = base64.b64encode(response.encode()).decode()
    tls = installation.tls()
    with (
        sign_in(installation, person) as own,
        smtplib.SMTP_SSL("localhost", installation.port("submissions"), context=tls, timeout=PATIENCE_S) as smtp,
        closing(poplib.POP3_SSL("localhost", installation.port("pop3s"), context=tls, timeout=PATIENCE_S)) as pop,
    ):
        imap = imaplib.IMAP4_SSL("localhost", installation.port("imaps"), ssl_context=tls, timeout=PATIENCE_S)
        imap.authenticate("XOAUTH2", lambda _: response.encode())
        assert pop._shortcmd(f"AUTH XOAUTH2 {shown}").startswith(b"+OK")  # type: ignore[attr-defined]
        smtp.ehlo()
        assert smtp.docmd("AUTH", f"XOAUTH2 {shown}")[0] == 235
        browser = Browser(f"http://localhost:{installation.port('http')}")
        browser.post("/oauth/revoke", client_id=client_id, token=token)
        assert imap.readline().startswith(b"* BYE")
        imap.shutdown()
        assert pop.file.readline().startswith(b"-ERR")
        assert smtp.getreply()[0] == 421
        assert own.noop()[0] == "OK"
