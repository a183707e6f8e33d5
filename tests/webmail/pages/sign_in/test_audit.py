"""Every act that changes how somebody signs in leaves a line, and none of their secrets in it."""

from structlog.testing import capture_logs

from tests.webmail.pages.sign_in.authenticator import Authenticator
from tests.webmail.pages.sign_in.browser import Browser

NEW = "another-horse-battery"


async def test_what_was_done_is_told_with_who_and_from_where(browser: Browser) -> None:
    with capture_logs() as lines:
        await browser.sign_in()
        codes = await browser.set_up_totp()
        await browser.add_passkey(Authenticator())
        made = await browser.post("/account/app-passwords/new", {"name": "Phone", "scope": ["imap"]})
        app_password = made.content.decode().split('class="secret"><code>')[1].split("<")[0]
        await browser.post("/account/recovery-codes")
        await browser.post("/account/sessions/end-others", page="/account")
        await browser.post("/account/password", {"old": browser.person.password, "new": NEW, "repeat": NEW})
        await browser.post("/account/authenticator/remove")
        await browser.post("/sign-out", page="/account")
    acts = [line for line in lines if line["event"] == "audit"]
    assert [line["act"] for line in acts] == [
        "signed in to the web",
        "set up an authenticator app",
        "made a passkey",
        "made an app password",
        "made new recovery codes",
        "ended everything else",
        "changed the own password",
        "removed the authenticator app",
        "signed out of the web",
    ]
    who = browser.person.principal
    assert {(line["tenant"], line["account"], line["network"]) for line in acts} == {
        (who.tenant_id, who.account_id, browser.network)
    }
    said = str(lines)
    for secret in (browser.person.password, NEW, browser.secret, app_password, *codes):
        assert secret not in said
