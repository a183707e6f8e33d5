"""Programs that fetch mail or keep a copy: getmail, fetchmail, OfflineIMAP, and a copy of one account to another."""

import imaplib
import mailbox
import os
import subprocess
from pathlib import Path

from tests.flows.clients import append, read_mailbox, sign_in
from tests.flows.copying import copy_account
from tests.flows.installation import Installation, Person
from tests.flows.letters import attachment, letter, letter_with_attachment

MANY = 10_000 if os.environ.get("WAYPOST_SOAK") else 300


def run(*arguments: object, home: Path, accept: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(home)},
        capture_output=True,
        check=False,
        timeout=120,
        cwd=home,
    )
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode in accept, said
    return said


def fill(installation: Installation, person: Person) -> list[bytes]:
    sent = [
        letter("一封信", "正文\n.点\n"),
        letter_with_attachment(attachment(300_000, 7)),
        letter("The last one"),
    ]
    with sign_in(installation, person) as client:
        for octets in sent:
            append(client, "INBOX", octets)
    return sent


def bodies(messages: list[bytes]) -> list[bytes]:
    """Below the header, where no program adds anything; line ends are the program's own."""
    found = [octets.replace(b"\r\n", b"\n") for octets in messages]
    return sorted(octets[octets.index(b"\n\n") + 2 :] for octets in found)


def in_maildir(directory: Path) -> list[bytes]:
    return [path.read_bytes() for part in ("new", "cur") for path in (directory / part).iterdir()]


def into_files(directory: Path) -> str:
    """getmail's destination; its own Maildir refuses to be written by root."""
    command = f"cat > {directory}/$$"
    return (
        "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
        f'arguments = ("-c", "{command}")\n'
    )


def fetched(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in directory.iterdir()]


def left_in_inbox(installation: Installation, person: Person) -> int:
    with sign_in(installation, person) as client:
        return len(read_mailbox(client))


def test_getmail_fetches_by_pop3_once_and_then_only_what_is_new(installation: Installation, tmp_path: Path) -> None:
    person = installation.person()
    sent = fill(installation, person)
    (tmp_path / "mail").mkdir()
    (tmp_path / "getmailrc").write_text(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\n"
        f"port = {installation.port('pop3s')}\nusername = {person.address}\npassword = {person.password}\n"
        f"ca_certs = {installation.ca}\n"
        + into_files(tmp_path / "mail")
        + "[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\n"
    )
    command = ("getmail", f"--getmaildir={tmp_path}", f"--rcfile={tmp_path}/getmailrc")
    run(*command, home=tmp_path)
    assert bodies(fetched(tmp_path / "mail")) == bodies(sent)
    with sign_in(installation, person) as client:
        append(client, "INBOX", letter("One more"))
    assert "1 messages" in run(*command, home=tmp_path)
    assert len(fetched(tmp_path / "mail")) == len(sent) + 1
    assert left_in_inbox(installation, person) == len(sent) + 1


def test_getmail_fetches_by_imap_and_removes(installation: Installation, tmp_path: Path) -> None:
    person = installation.person()
    sent = fill(installation, person)
    (tmp_path / "mail").mkdir()
    (tmp_path / "getmailrc").write_text(
        "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = localhost\n"
        f"port = {installation.port('imaps')}\nusername = {person.address}\npassword = {person.password}\n"
        f'ca_certs = {installation.ca}\nmailboxes = ("INBOX",)\n'
        + into_files(tmp_path / "mail")
        + "[options]\ndelete = true\ndelivered_to = false\nreceived = false\n"
    )
    run("getmail", f"--getmaildir={tmp_path}", f"--rcfile={tmp_path}/getmailrc", home=tmp_path)
    assert bodies(fetched(tmp_path / "mail")) == bodies(sent)
    assert left_in_inbox(installation, person) == 0


def fetchmail(installation: Installation, person: Person, protocol: str, directory: Path) -> list[bytes]:
    """What it fetched, removing it at the server."""
    port = installation.port("pop3s" if protocol == "pop3" else "imaps")
    mail = directory / "mail"
    mail.mkdir()
    settings = directory / "fetchmailrc"
    settings.write_text(
        f'poll localhost protocol {protocol} service {port} user "{person.address}" password "{person.password}" '
        f'ssl sslcertck sslcertfile "{installation.ca}" nokeep fetchall no rewrite '
        f"mda \"/bin/sh -c 'cat > {mail}/$$'\"\n"
    )
    settings.chmod(0o600)
    run("fetchmail", "--fetchmailrc", settings, "--pidfile", directory / "pid", "--nosyslog", home=directory)
    return fetched(mail)


def test_fetchmail_fetches_by_pop3(installation: Installation, tmp_path: Path) -> None:
    person = installation.person()
    sent = fill(installation, person)
    assert bodies(fetchmail(installation, person, "pop3", tmp_path)) == bodies(sent)
    assert left_in_inbox(installation, person) == 0


def test_fetchmail_fetches_by_imap(installation: Installation, tmp_path: Path) -> None:
    person = installation.person()
    sent = fill(installation, person)
    assert bodies(fetchmail(installation, person, "imap", tmp_path)) == bodies(sent)
    assert left_in_inbox(installation, person) == 0


def test_offlineimap_keeps_both_sides_equal(installation: Installation, tmp_path: Path) -> None:
    person = installation.person()
    sent = fill(installation, person)
    with sign_in(installation, person) as client:
        client.create('"Projects/2026 &UXaZhg-"')
        append(client, "Projects/2026 &UXaZhg-", letter("In a folder"), "\\Seen \\Flagged")
    (tmp_path / "offlineimaprc").write_text(
        "[general]\naccounts = one\nui = basic\n"
        f"metadata = {tmp_path}/metadata\n"
        "[Account one]\nlocalrepository = here\nremoterepository = there\n"
        f"[Repository here]\ntype = Maildir\nlocalfolders = {tmp_path}/mail\nsep = /\n"
        "[Repository there]\ntype = IMAP\nssl = yes\nremotehost = localhost\n"
        f"remoteport = {installation.port('imaps')}\nremoteuser = {person.address}\nremotepass = {person.password}\n"
        f"sslcacertfile = {installation.ca}\n"
    )
    command = ("offlineimap", "-c", tmp_path / "offlineimaprc", "-o")
    run(*command, home=tmp_path)
    assert bodies(in_maildir(tmp_path / "mail/INBOX")) == bodies(sent)
    project = mailbox.Maildir(tmp_path / "mail/Projects/2026 &UXaZhg-", create=False)
    (flagged,) = project.values()
    assert set(flagged.get_flags()) == {"S", "F"}

    flagged_key = project.keys()[0]
    flagged.remove_flag("F")
    project[flagged_key] = flagged
    inbox = mailbox.Maildir(tmp_path / "mail/INBOX", create=False)
    inbox.add(letter("Written offline").replace(b"\r\n", b"\n"))
    inbox.remove(next(key for key in inbox.iterkeys() if "The last one" in str(inbox[key]["Subject"])))
    run(*command, home=tmp_path)
    with sign_in(installation, person) as client:
        subjects = sorted(
            copy.octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for copy in read_mailbox(client)
        )
        assert subjects == sorted(["一封信", "The plans", "Written offline"])
        (copy,) = read_mailbox(client, "Projects/2026 &UXaZhg-")
        assert copy.flags == {"\\Seen"}


def test_an_account_is_copied_to_another_and_again_without_doubling(installation: Installation) -> None:
    """As imapsync does it: folder by folder, what the target lacks by Message-ID, with flags and dates."""
    source, target = installation.people(2)
    with sign_in(installation, source) as client:
        client.create("Old")
        for number in range(MANY):
            folder = "Old" if number % 3 == 0 else "INBOX"
            append(client, folder, letter(f"Number {number}", "x" * (number % 977)), "\\Seen" if number % 2 else "")
    with sign_in(installation, source) as one, sign_in(installation, target) as other:
        assert copy_account(one, other) == MANY
        assert copy_account(one, other) == 0
        for folder in ("INBOX", "Old"):
            assert contents(other, folder) == contents(one, folder)


def contents(client: imaplib.IMAP4, folder: str) -> list[tuple[bytes, frozenset[str]]]:
    return sorted((copy.octets, copy.flags) for copy in read_mailbox(client, folder))
