"""What people have: swaks, curl and mutt send, list and fetch."""

import base64
import subprocess
from pathlib import Path

from tests.flows.clients import Dialogue, append, read_inbox, read_mailbox, sign_in
from tests.flows.installation import Installation, Person
from tests.flows.letters import assert_arrived, attachment, letter, letter_with_attachment


def run(*arguments: object, stdin: bytes = b"", home: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(home or "/nonexistent")}
    return subprocess.run(
        [str(argument) for argument in arguments],
        input=stdin,
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )


def swaks(installation: Installation, door: str, *arguments: object) -> "subprocess.CompletedProcess[bytes]":
    return run("swaks", "--server", f"127.0.0.1:{installation.port(door)}", "--helo", "client.example", *arguments)


def curl(installation: Installation, person: Person, path: str, *arguments: object) -> bytes:
    done = run(
        *("curl", "--silent", "--show-error", "--cacert", installation.ca, "--user"),
        *(f"{person.address}:{person.password}", f"imaps://localhost:{installation.port('imaps')}/{path}", *arguments),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_swaks_delivers_to_a_demo_person_who_reads_it_with_curl(installation: Installation, tmp_path: Path) -> None:
    reader = installation.demo_people()[1]
    sent = letter_with_attachment(attachment(3000, 1), subject="Sent by swaks")
    (tmp_path / "sent.eml").write_bytes(sent.removesuffix(b"\r\n"))  # swaks adds one
    done = swaks(
        *(installation, "smtp", "--from", "grace@elsewhere.example", "--to", reader.address),
        *("--data", f"@{tmp_path / 'sent.eml'}"),
    )
    assert done.returncode == 0, done.stdout
    found = curl(installation, reader, "INBOX", "-X", "UID SEARCH SUBJECT swaks").split()
    assert found[:2] == [b"*", b"SEARCH"]
    assert len(found) == 3
    assert_arrived(curl(installation, reader, f"INBOX;UID={found[2].decode()}"), sent)


def test_swaks_hears_550_for_an_unknown_person(installation: Installation) -> None:
    done = swaks(installation, "smtp", "--from", "grace@elsewhere.example", "--to", "nobody@demo.test")
    assert done.returncode != 0
    assert b"<** 550 5.1.1 No such person here" in done.stdout
    assert b" -> DATA" not in done.stdout


def test_swaks_submits_with_starttls_and_over_tls(installation: Installation) -> None:
    """From one demo person to another."""
    _, sender, reader, *_ = installation.demo_people()
    for door, tls in (("submission", "--tls"), ("submissions", "--tls-on-connect")):
        for mechanism in ("PLAIN", "LOGIN"):
            subject = f"Reply over {door} with {mechanism}"
            done = swaks(
                *(installation, door, tls, "--tls-verify", "--tls-ca-path", installation.ca, "--auth", mechanism),
                *("--auth-user", sender.address, "--auth-password", sender.password),
                *("--from", sender.address, "--to", reader.address, "--header", f"Subject: {subject}"),
            )
            assert done.returncode == 0, done.stdout
            assert b"235 2.7.0" in done.stdout
            assert curl(installation, reader, "INBOX", "-X", f'SEARCH SUBJECT "{subject}"').split()[2:]


def test_swaks_may_not_sign_in_without_tls(installation: Installation) -> None:
    person = installation.person()
    plain = base64.b64encode(f"\0{person.address}\0{person.password}".encode()).decode()
    with Dialogue(installation, "submission") as client:
        assert "AUTH" not in client.ask("EHLO client.example")
        assert client.ask(f"AUTH PLAIN {plain}") == ("538 5.7.11 Signing in needs encryption; issue STARTTLS first")
    refused = swaks(
        *(installation, "submission", "--auth", "PLAIN", "--auth-user", person.address),
        *("--auth-password", person.password, "--from", person.address, "--to", person.address),
    )
    assert refused.returncode == 28, refused.stdout  # swaks: AUTH was not offered


def test_curl_lists_mailboxes_and_uploads(installation: Installation, tmp_path: Path) -> None:
    person = installation.person()
    listed = curl(installation, person, "")
    for line in (b'* LIST (\\HasNoChildren) "/" INBOX\r\n', b'* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n'):
        assert line in listed
    draft = letter("A draft", "语言 · 草稿")
    (tmp_path / "draft.eml").write_bytes(draft)
    curl(installation, person, "Drafts", "-T", tmp_path / "draft.eml")
    assert curl(installation, person, "Drafts;MAILINDEX=1") == draft


def test_the_first_thing_asked_of_an_account_may_be_any_of_its_folders(installation: Installation) -> None:
    for folder in ("Sent", "Drafts", "INBOX"):
        with sign_in(installation, installation.person()) as client:
            assert append(client, folder, letter()) == 1


def test_curl_fetches_byte_for_byte_what_was_appended(installation: Installation) -> None:
    person = installation.person()
    sent = [
        letter("plain"),
        letter("no line end at the end")[:-2],
        letter_with_attachment(attachment(300_000, 2)),
        letter("dots", ".\n..\n.one\n\n."),
        b"Subject: only a header\r\n",
        "Subject: 你好，世界\r\nFrom: 李雷 <lilei@例子.测试>\r\n\r\n内容\r\n".encode(),
        "Subject: 发票\r\n\r\n正文\r\n".encode("gb18030"),
        b"Subject: bare\nline\nends\n\nand octets \x80\xff\n",
    ]
    with sign_in(installation, person) as client:
        for octets in sent:
            append(client, "INBOX", octets)
    for uid, octets in enumerate(sent, 1):
        assert curl(installation, person, f"INBOX;UID={uid}") == octets


def mutt_settings(installation: Installation, person: Person, directory: Path) -> Path:
    port, submissions = installation.port("imaps"), installation.port("submissions")
    settings = {
        "folder": f"imaps://localhost:{port}/",
        "imap_user": person.address,
        "imap_pass": person.password,
        "smtp_url": f"smtps://{person.address.replace('@', '%40')}@localhost:{submissions}/",
        "smtp_pass": person.password,
        "smtp_authenticators": "plain",
        "from": person.address,
        "realname": "Ada",
        "hostname": "client.example",
        "certificate_file": str(installation.ca),
        "record": "=Sent",
    }
    lines = [f'set {name}="{value}"' for name, value in settings.items()]
    lines += ["set use_envelope_from=yes ssl_force_tls=yes copy=yes"]
    path = directory / "muttrc"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_mutt_sends_and_keeps_a_copy(installation: Installation, tmp_path: Path) -> None:
    sender, reader = installation.people(2)
    settings = mutt_settings(installation, sender, tmp_path)
    (tmp_path / "plans.bin").write_bytes(attachment(100_000, 3))
    done = run(
        *("mutt", "-F", settings, "-s", "会议纪要 by mutt", "-a", tmp_path / "plans.bin", "--", reader.address),
        stdin="请查收。\n".encode(),
        home=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (arrived,) = read_inbox(installation, reader)
    with sign_in(installation, sender) as client:
        (kept,) = read_mailbox(client, "Sent")
    assert kept.flags == {"\\Seen"}
    body = kept.octets[kept.octets.index(b"\r\n\r\n") :]
    assert arrived.endswith(body)
    assert b"=?utf-8?" in arrived.lower()
