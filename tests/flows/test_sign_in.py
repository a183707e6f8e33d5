"""A person signs in with a browser: with a code, with a passkey, and ends what they have open elsewhere."""

import imaplib
import poplib
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pyotp
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.flows.clients import Idler, sign_in, submission
from tests.flows.installation import Installation, Person

CHROMIUM = "/usr/bin/chromium"
SOON_S = 8.0  # every process looks every two seconds who was signed out
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """Somebody at a browser of their own, which has kept nothing from before."""

    def __init__(self, chromium: Browser, installation: Installation, person: Person) -> None:
        self._base = f"http://localhost:{installation.port('http')}"
        self._person = person
        self.page: Page = chromium.new_context(locale="en-US").new_page()

    def go(self, path: str) -> None:
        self.page.goto(self._base + path)

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def enter(self, path: str, **values: str) -> None:
        """Fill in the form at `path` and send it."""
        if self.path != path:
            self.go(path)
        for name, value in values.items():
            self.page.fill(f"#{name}", value)
        self.page.click("form.stack button")

    def enter_password(self) -> None:
        self.enter("/sign-in", address=self._person.address, password=self._person.password)

    def press(self, text: str) -> None:
        self.page.get_by_role("button", name=text, exact=True).click()

    def wait_for(self, path: str) -> None:
        self.page.wait_for_url(lambda url: urlsplit(url).path == path)

    def set_up_totp(self) -> tuple[str, list[str]]:
        """The app's secret, and recovery codes."""
        self.go("/account/authenticator")
        secret = self.page.inner_text(".secret code").replace(" ", "")
        self.enter("/account/authenticator", code=pyotp.TOTP(secret).now())
        self.page.wait_for_selector(".codes")
        return secret, self.page.locator(".codes code").all_inner_texts()

    def make_app_password(self, name: str) -> str:
        self.go("/account/app-passwords/new")
        self.page.check("input[value=pop]")
        self.enter("/account/app-passwords/new", name=name)
        return self.page.inner_text(".secret code")

    def plug_in_authenticator(self) -> None:
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("WebAuthn.enable")
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})


def refusal_of_imap(installation: Installation, person: Person) -> str:
    client = imaplib.IMAP4_SSL("localhost", installation.port("imaps"), ssl_context=installation.tls(), timeout=30)
    with pytest.raises(imaplib.IMAP4.error) as refused:
        client.login(person.address, person.password)
    client.shutdown()
    return str(refused.value)


def forget_used_codes(installation: Installation, person: Person) -> None:
    """As if half a minute had passed."""
    with installation.sql() as owner:
        owner.execute(
            "UPDATE totp SET last_step = 0 WHERE account_id ="
            " (SELECT account_id FROM address a JOIN domain d ON d.id = a.domain_id"
            "   WHERE a.local_part || '@' || d.name = %s)",
            (person.address,),
        )


def test_a_code_then_a_passkey_then_an_end_that_mail_programs_see(
    installation: Installation, chromium: Browser
) -> None:
    person = installation.person()
    desk, phone = Visit(chromium, installation, person), Visit(chromium, installation, person)

    desk.go("/account")
    desk.enter_password()
    desk.wait_for("/account")
    secret, codes = desk.set_up_totp()
    assert "app password" in refusal_of_imap(installation, person)

    desk.go("/account")
    desk.press("Sign out")
    desk.wait_for("/sign-in")
    forget_used_codes(installation, person)
    desk.enter_password()
    desk.wait_for("/sign-in/code")
    desk.enter("/sign-in/code", code=pyotp.TOTP(secret).now())
    desk.wait_for("/account")

    desk.plug_in_authenticator()
    desk.enter("/account/passkeys/new", name="This desk")
    desk.wait_for("/account")
    desk.press("Sign out")
    desk.wait_for("/sign-in")
    desk.press("Sign in with a passkey")
    desk.wait_for("/account")
    assert "This desk" in desk.page.inner_text("main")

    program = Person(person.address, desk.make_app_password("Mail program"))
    phone.go("/sign-in")
    phone.enter_password()
    phone.wait_for("/sign-in/code")
    phone.enter("/sign-in/code", code=codes[0])
    phone.wait_for("/account")

    pop = poplib.POP3_SSL("localhost", installation.port("pop3s"), context=installation.tls(), timeout=30)
    pop.user(program.address)
    pop.pass_(program.password)
    with Idler(installation, program) as idler, submission(installation, program) as sender:
        desk.go("/account")
        desk.page.click('form[action="/account/sessions/end"] button')
        desk.wait_for("/account")
        assert "That browser is signed out." in desk.page.inner_text("main")
        idler.wait_for(b"* BYE You were signed out", within_s=SOON_S)
        assert pop.file.readline().startswith(b"-ERR You were signed out")
        code, words = sender.getreply()
        assert (code, words.split()[0]) == (421, b"4.7.0")
        pop.close()
        sender.close()

    phone.go("/account")
    assert phone.path == "/sign-in"
    desk.go("/account")
    assert desk.path == "/account"
    sign_in(installation, program).logout()  # its password is as good as before


def test_a_new_password_of_the_administrator_ends_everything(installation: Installation, chromium: Browser) -> None:
    person = installation.person()
    visit = Visit(chromium, installation, person)
    visit.go("/account")
    visit.enter_password()
    visit.wait_for("/account")
    with Idler(installation, person) as idler:
        installation.manage("account", "set", person.address, "--password-stdin", stdin="kettle-orbit-new-lantern\n")
        idler.wait_for(b"* BYE You were signed out", within_s=SOON_S)
    visit.go("/account")
    assert visit.path == "/sign-in"


def test_suspension_ends_everything(installation: Installation) -> None:
    person = installation.person()
    with Idler(installation, person) as idler:
        installation.manage("account", "suspend", person.address)
        idler.wait_for(b"* BYE You were signed out", within_s=SOON_S)


def test_connections_end_while_redis_is_away(installation: Installation) -> None:
    person = installation.person()
    with Idler(installation, person) as idler, installation.unattended():
        installation.kill("redis")
        with installation.sql() as owner:
            end_sign_ins(owner, person)
        idler.wait_for(b"* BYE You were signed out", within_s=SOON_S)


def end_sign_ins(owner: "psycopg.Connection[tuple[object, ...]]", person: Person) -> None:
    owner.execute(
        "SELECT directory_end_sign_ins_v1(a.tenant_id, a.account_id) FROM address a JOIN domain d ON d.id = a.domain_id"
        " WHERE a.local_part || '@' || d.name = %s",
        (person.address,),
    )
