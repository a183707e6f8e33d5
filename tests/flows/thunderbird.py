"""Thunderbird under Xvfb, with one account of an installation, driven through its own objects."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.flows.installation import Installation, Person
from tests.flows.marionette import Marionette
from tests.flows.waiting import wait_until

START_DEADLINE_S = 60.0

PREFERENCES: dict[str, object] = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "mail.biff.show_alert": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
}

_WORDS = """
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const until = async (what, ask) => {
        for (const end = Date.now() + 30000; Date.now() < end; ) {
            const found = await ask();
            if (found) return found;
            await new Promise(resolve => setTimeout(resolve, 50));
        }
        throw new Error("waited in vain for " + what);
    };
    const server = () => MailServices.accounts.allServers.find(each => each.type == "imap");
    const folder = name => server().rootFolder.descendants.find(each => each.URI.endsWith("/" + name));
    // of an update that it gives up because the folder is busy it never tells the end
    const update = folder => new Promise((resolve, reject) => {
        setTimeout(resolve, 3000);
        folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, {
            QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
            OnStartRunningUrl() {},
            OnStopRunningUrl(url, status) {
                Components.isSuccessCode(status) ? resolve() : reject(new Error("update " + status));
            },
        });
    });
    const rows = folder => [...folder.messages].map(each => ({
        subject: each.mime2DecodedSubject, author: each.mime2DecodedAuthor, octets: each.messageSize,
        is_read: each.isRead, is_flagged: each.isFlagged,
    }));
    const named = (folder, subject) => [...folder.messages].find(each => each.mime2DecodedSubject == subject);
"""


@dataclass(frozen=True, slots=True)
class Thunderbird:
    """Folders are named by the end of their URI: INBOX, Sent."""

    marionette: Marionette

    def run(self, script: str, *arguments: object) -> Any:
        return self.marionette.run(_WORDS + script, *arguments)

    def add_account(self, installation: Installation, person: Person) -> None:
        """IMAP and SMTP, both over TLS; the installation's authority is trusted."""
        pem = installation.ca.read_text("ascii")
        authority = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
        self.run(
            """
            const [authority, imapPort, smtpPort, user, password] = given;
            const known = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
            known.addCertFromBase64(authority, "CT,,");
            const accounts = MailServices.accounts;
            const incoming = accounts.createIncomingServer(user, "localhost", "imap");
            Object.assign(incoming, { port: imapPort, socketType: 3, authMethod: 3, password, prettyName: user });
            const outgoing = MailServices.outgoingServer.createServer("smtp");
            Object.assign(outgoing.QueryInterface(Ci.nsISmtpServer), { hostname: "localhost", port: smtpPort });
            Object.assign(outgoing, { socketType: 3, authMethod: 3, username: user, password });
            const identity = accounts.createIdentity();
            Object.assign(identity, { email: user, fullName: "Ada 爱达", smtpServerKey: outgoing.key });
            const account = accounts.createAccount();
            account.incomingServer = incoming;
            account.addIdentity(identity);
            accounts.defaultAccount = account;
            incoming.performExpand(null);
            await until("the folders", () => folder("INBOX") && folder("Sent"));
            """,
            authority,
            installation.port("imaps"),
            installation.port("submissions"),
            person.address,
            person.password,
        )

    def messages(self, mailbox: str) -> list[dict[str, Any]]:
        """Asked of the server anew."""
        found: list[dict[str, Any]] = self.run(
            "await update(folder(given[0])); return rows(folder(given[0]));", mailbox
        )
        return found

    def wait_for(self, mailbox: str, subject: str) -> None:
        """Until it has come by itself: nothing is asked for."""
        self.run("await until(given[1], () => named(folder(given[0]), given[1]));", mailbox, subject)

    def text_of(self, mailbox: str, subject: str) -> str:
        """The whole message, an octet a character, without Thunderbird's own two lines."""
        text = self.run(
            """
            const [mailbox, subject] = given;
            const uri = folder(mailbox).getUriForMsg(named(folder(mailbox), subject));
            return await new Promise((resolve, reject) => {
                let data = "";
                MailServices.messageServiceFromURI(uri).streamMessage(uri, {
                    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
                    onStartRequest() {},
                    onDataAvailable(request, stream, offset, count) {
                        const input = Cc["@mozilla.org/scriptableinputstream;1"];
                        const reader = input.createInstance(Ci.nsIScriptableInputStream);
                        reader.init(stream);
                        data += reader.readBytes(count);
                    },
                    onStopRequest(request, status) {
                        Components.isSuccessCode(status) ? resolve(data) : reject(new Error("stream " + status));
                    },
                }, null, null, false, "", false);
            });
            """,
            mailbox,
            subject,
        )
        return "".join(line for line in str(text).splitlines(keepends=True) if not line.startswith("X-Mozilla-Status"))

    def mark(self, mailbox: str, subject: str, *, is_read: bool, is_flagged: bool) -> None:
        self.run(
            """
            const [mailbox, subject, isRead, isFlagged] = given;
            const message = named(folder(mailbox), subject);
            folder(mailbox).markMessagesRead([message], isRead);
            folder(mailbox).markMessagesFlagged([message], isFlagged);
            """,
            mailbox,
            subject,
            is_read,
            is_flagged,
        )

    def move(self, source: str, subject: str, target: str) -> None:
        self.run(
            """
            const [source, subject, target] = given;
            const message = named(folder(source), subject);
            MailServices.copy.copyMessages(folder(source), [message], folder(target), true, null, null, false);
            await until("the move", async () => {
                await update(folder(target));
                return named(folder(target), subject);
            });
            """,
            source,
            subject,
            target,
        )

    def send(self, to: str, subject: str, body: str) -> None:
        """Return when it was taken and the copy is in Sent."""
        self.run(
            """
            const [to, subject, body] = given;
            const account = MailServices.accounts.defaultAccount;
            const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
            Object.assign(fields, { from: account.defaultIdentity.email, to, subject, body });
            await new Promise((resolve, reject) => {
                const listener = {
                    QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
                    onStartSending() {}, onProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
                    onTransportSecurityError() {},
                    onSendNotPerformed() { reject(new Error("not sent")); },
                    onStopSending(id, status, message) {
                        Components.isSuccessCode(status) ? resolve() : reject(new Error("send " + status + message));
                    },
                };
                globalThis.keptListener = listener;
                Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend).createAndSendMessage(
                    null, account.defaultIdentity, account.key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow,
                    null, "text/plain", body, null, null, listener, "", "", Ci.nsIMsgCompType.New);
            });
            await until("the copy in Sent", async () => {
                await update(folder("Sent"));
                return named(folder("Sent"), subject);
            });
            """,
            to,
            subject,
            body,
        )


@contextlib.contextmanager
def thunderbird(directory: Path, port: int) -> Iterator[Thunderbird]:
    """A fresh profile and a screen of its own; both are gone afterwards."""
    profile, home = directory / "profile", directory / "home"
    for each in (profile, home):
        each.mkdir()
    preferences = {**PREFERENCES, "marionette.port": port}
    lines = [f"user_pref({_quoted(name)}, {_quoted(value)});" for name, value in preferences.items()]
    (profile / "user.js").write_text("\n".join(lines), "utf-8")
    with _screen(directory) as display, (directory / "thunderbird.log").open("wb") as log:
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DISPLAY": display, "LANG": "C.UTF-8"}
        running = subprocess.Popen(
            ["thunderbird", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(profile)],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            connected = wait_until(lambda: _connect(port), within_s=START_DEADLINE_S, what="Thunderbird")
            assert connected is not None
            with connected as marionette:
                yield Thunderbird(marionette)
                marionette.quit()
            running.wait(START_DEADLINE_S)
        finally:
            running.kill()
            running.wait()


@contextlib.contextmanager
def _screen(directory: Path) -> Iterator[str]:
    """Xvfb chooses a free display and says which."""
    readable, writable = os.pipe()
    with (directory / "xvfb.log").open("wb") as log:
        command = ["Xvfb", "-displayfd", str(writable), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
        running = subprocess.Popen(command, pass_fds=[writable], stdout=log, stderr=log)
    os.close(writable)
    try:
        with os.fdopen(readable) as told:
            yield f":{told.readline().strip()}"
    finally:
        running.terminate()
        running.wait()


def _connect(port: int) -> Marionette | None:
    try:
        return Marionette(port)
    except OSError:
        return None


def _quoted(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case _:
            return f'"{value}"'
