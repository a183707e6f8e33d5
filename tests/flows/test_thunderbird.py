"""The desktop client that most people have, as it comes from Debian."""

from pathlib import Path

from tests.flows.clients import append, deliver, read_mailbox, sign_in
from tests.flows.installation import Installation
from tests.flows.letters import attachment, letter, letter_with_attachment
from tests.flows.thunderbird import thunderbird
from tests.mailserver.test_listeners import free_port


def test_thunderbird_reads_marks_moves_and_sends(installation: Installation, tmp_path: Path) -> None:
    person, friend = installation.people(2)
    report = letter_with_attachment(attachment(200_000, 5), subject="第三季度报告")
    with sign_in(installation, person) as client:
        append(client, "INBOX", letter("An old one"), "\\Seen")
        append(client, "INBOX", report)
    with thunderbird(tmp_path, free_port()) as mail:
        mail.add_account(installation, person)
        listed = {each["subject"]: each for each in mail.messages("INBOX")}
        assert {subject: each["is_read"] for subject, each in listed.items()} == {
            "An old one": True,
            "第三季度报告": False,
        }
        assert mail.text_of("INBOX", "第三季度报告").encode("latin-1") == report

        deliver(installation, [person], letter("It comes by itself"))
        mail.wait_for("INBOX", "It comes by itself")

        mail.mark("INBOX", "An old one", is_read=False, is_flagged=True)
        mail.move("INBOX", "第三季度报告", "Archive")
        mail.send(friend.address, "你好 from Thunderbird", "Körper\n内容\n")
        left = sorted(each["subject"] for each in mail.messages("INBOX"))
    assert left == ["An old one", "It comes by itself"]
    with sign_in(installation, person) as client:
        flags = {copy.octets.split(b"Subject: ")[1].split(b"\r\n")[0]: copy.flags for copy in read_mailbox(client)}
        assert flags[b"An old one"] == {"\\Flagged"}
        (archived,) = read_mailbox(client, "Archive")
        assert archived.octets == report
        (kept,) = read_mailbox(client, "Sent")
        assert kept.flags >= {"\\Seen"}
    with sign_in(installation, friend) as client:
        (arrived,) = read_mailbox(client)
    body = kept.octets[kept.octets.index(b"\r\n\r\n") :]
    assert arrived.octets.endswith(body)
