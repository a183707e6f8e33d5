"""Mail written to disk and brought back: octet for octet, with flags and dates, however often it is interrupted."""

import asyncio
import os
import subprocess
import textwrap
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mailserver.services import exporting, mailboxes
from mailserver.services.export_files import ExportElsewhere, MailboxFiles
from mailserver.services.exporting import ExportedMailbox, ExportRefused, ExportRunning, MailFormat, export_mail
from mailserver.services.import_sources import Complaint, find_mailboxes
from mailserver.services.importing import ImportedMailbox, import_mailbox
from storage.store import MailStore
from storage.types import Flags
from tests.conftest import NOON, Company, RunningServices, owner_connection, plain_message
from tests.letters import letters
from tests.someone import ADD, ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Someone

FORMATS = list(MailFormat)
Mail = list[tuple[bytes, Flags, datetime]]


async def export(person: Someone, directory: Path, form: MailFormat, only: str | None = None) -> list[ExportedMailbox]:
    return [each async for each in export_mail(person.store, person.who, directory, form, only=only)]


async def bring(person: Someone, path: Path, form: MailFormat | None = None) -> list[ImportedMailbox]:
    done = []
    for source in find_mailboxes(path, form):
        assert not isinstance(source, Complaint)
        with closing(source.letters()) as found:  # type: ignore[type-var]
            done.append(await import_mailbox(person.store, person.who, source.name, found))
    return done


async def mail_of(person: Someone) -> dict[str, Mail]:
    """Every mailbox with messages, to the second, in the order of octets."""
    found: dict[str, Mail] = {}
    for name in await person.names():
        flags = await person.flags_of(name)
        rows = await person.rows(name)
        octets = await person.octets(name)
        if rows:
            found[name] = sorted(
                (
                    (each, flags[row.uid], row.received_at.replace(microsecond=0))
                    for each, row in zip(octets, rows, strict=True)
                ),
                key=lambda each: (each[0], each[2]),
            )
    return found


@pytest.fixture
async def bob(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("bob"))


async def give_mail(ada: Someone, messages: int = 30) -> None:
    for name in ("项目/计划", "Archive/v1.2"):
        await mailboxes.create(ada.store, ada.who, name)
    kinds = [(), (SEEN,), (SEEN, ANSWERED, "$Forwarded"), (FLAGGED, "work", "$Label1"), (DRAFT,), (DELETED, SEEN)]
    for number in range(messages):
        box = ("INBOX", "项目/计划", "Archive/v1.2")[number % 3]
        at = NOON + timedelta(minutes=number, microseconds=number)
        await ada.append(box, plain_message(number // 2), *kinds[number % 6], received_at=at)
    await ada.append("INBOX", plain_message(7, body="From me\r\n>From you"), received_at=NOON)
    await ada.append("INBOX", plain_message(7, body="From me\r\n>From you"), received_at=NOON)


@pytest.mark.parametrize("form", FORMATS)
async def test_an_account_comes_back_as_it_was(ada: Someone, bob: Someone, tmp_path: Path, form: MailFormat) -> None:
    await give_mail(ada)
    told = await export(ada, tmp_path, form)
    assert {each.name: each.written for each in told if each.written} == {
        "INBOX": 12, "项目/计划": 10, "Archive/v1.2": 10,
    }  # fmt: skip
    await bring(bob, tmp_path)
    assert await mail_of(bob) == await mail_of(ada)


@pytest.mark.parametrize("form", FORMATS)
async def test_odd_letters_come_back_octet_for_octet(
    ada: Someone, bob: Someone, tmp_path: Path, form: MailFormat
) -> None:
    for number, (_, octets) in enumerate(letters()):
        if octets:
            await ada.append("INBOX", octets, received_at=NOON + timedelta(seconds=number))
    await export(ada, tmp_path, form)
    (inbox, *_) = [each for each in await bring(bob, tmp_path) if each.name == "INBOX"]
    assert inbox.complaints == []
    assert await mail_of(bob) == await mail_of(ada)


@pytest.mark.parametrize("form", FORMATS)
async def test_bringing_it_twice_adds_nothing(ada: Someone, tmp_path: Path, form: MailFormat) -> None:
    await give_mail(ada)
    before = await mail_of(ada)
    await export(ada, tmp_path, form)
    told = await bring(ada, tmp_path)
    assert sum(each.added for each in told) == 0
    assert sum(each.present for each in told) == 32
    assert await mail_of(ada) == before


@pytest.mark.parametrize("form", FORMATS)
async def test_an_export_goes_on_and_learns_of_new_mail(
    ada: Someone, bob: Someone, tmp_path: Path, form: MailFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await give_mail(ada)
    count = 0
    real_put = _put_of(form)

    def put(self: MailboxFiles, *arguments: object, **named: object) -> None:
        nonlocal count
        count += 1
        if count == 17:
            raise KeyboardInterrupt
        real_put(self, *arguments, **named)

    monkeypatch.setattr(_class_of(form), "put", put)
    with pytest.raises(KeyboardInterrupt):
        await export(ada, tmp_path, form)
    monkeypatch.undo()
    told = await export(ada, tmp_path, form)
    assert sum(each.present for each in told) >= 14
    await ada.append("INBOX", plain_message(99))
    told = await export(ada, tmp_path, form)
    assert [each.written for each in told if each.name == "INBOX"] == [1]
    await bring(bob, tmp_path)
    assert await mail_of(bob) == await mail_of(ada)


def _class_of(form: MailFormat) -> type[MailboxFiles]:
    classes: dict[MailFormat, type[MailboxFiles]] = {
        MailFormat.MBOX: exporting.MboxFile,
        MailFormat.MAILDIR: exporting.MaildirFolder,
        MailFormat.EML: exporting.LetterDirectory,
    }
    return classes[form]


def _put_of(form: MailFormat) -> Callable[..., None]:
    return _class_of(form).put


@pytest.mark.parametrize("form", FORMATS)
async def test_a_letter_that_was_damaged_comes_when_it_is_whole_again(
    services: RunningServices, ada: Someone, bob: Someone, tmp_path: Path, form: MailFormat
) -> None:
    for number in range(3):
        await ada.append("INBOX", plain_message(number, body=f"Body {number}"))
    damaged = (await ada.rows("INBOX"))[1]
    flip = f"""
        UPDATE blob_content SET sealed = set_byte(sealed, 20, 255 - get_byte(sealed, 20))
         WHERE tenant_id = {ada.who.tenant_id}
           AND digest = (SELECT digest FROM message_blob WHERE message_id = {damaged.message_id})
    """  # noqa: S608 - our own numbers
    with owner_connection(services) as owner:
        owner.execute(flip.encode())
    for written in (2, 0):
        [told] = [each for each in await export(ada, tmp_path, form) if each.name == "INBOX"]
        assert (told.written, told.damaged) == (written, [damaged.uid])
    with owner_connection(services) as owner:
        owner.execute(flip.encode())
    for written in (1, 0):
        [told] = [each for each in await export(ada, tmp_path, form) if each.name == "INBOX"]
        assert (told.written, told.damaged) == (written, [])
    await bring(bob, tmp_path)
    assert await mail_of(bob) == await mail_of(ada)


@pytest.mark.parametrize("form", [MailFormat.MAILDIR, MailFormat.EML])
async def test_flags_that_changed_since_are_written_anew(
    ada: Someone, bob: Someone, tmp_path: Path, form: MailFormat
) -> None:
    await give_mail(ada)
    await export(ada, tmp_path, form)
    await ada.flag("INBOX", await ada.uids(), ADD, FLAGGED, "later")
    told = await export(ada, tmp_path, form)
    assert sum(each.written for each in told) == 0
    await bring(bob, tmp_path)
    assert await mail_of(bob) == await mail_of(ada)


async def test_one_mailbox_is_written_alone(ada: Someone, tmp_path: Path) -> None:
    await give_mail(ada)
    (told,) = await export(ada, tmp_path, MailFormat.MBOX, "项目/计划")
    assert told.place == "项目.计划.mbox"
    assert (tmp_path / told.place).stat().st_mode & 0o777 == 0o600


async def test_nothing_is_mixed(ada: Someone, bob: Someone, tmp_path: Path) -> None:
    await give_mail(ada, 3)
    await export(ada, tmp_path, MailFormat.MBOX)
    with pytest.raises(ExportRefused, match="another account"):
        await export(bob, tmp_path, MailFormat.MBOX)
    with pytest.raises(ExportRefused, match="another format"):
        await export(ada, tmp_path, MailFormat.EML)
    altered = tmp_path / "INBOX.mbox"
    altered.write_bytes(altered.read_bytes().replace(b"X-Waypost-Export", b"X-Something-Else"))
    with pytest.raises(ExportElsewhere):
        await export(ada, tmp_path, MailFormat.MBOX)


async def test_two_exports_to_one_directory_do_not_meet(ada: Someone, tmp_path: Path) -> None:
    first = export_mail(ada.store, ada.who, tmp_path, MailFormat.EML)
    await anext(first)
    with pytest.raises(ExportRunning):
        await export(ada, tmp_path, MailFormat.EML)
    await first.aclose()  # type: ignore[attr-defined]
    assert await export(ada, tmp_path, MailFormat.EML)


async def test_keywords_beyond_what_a_maildir_can_say_are_counted(ada: Someone, tmp_path: Path) -> None:
    await ada.append("INBOX", plain_message(), *[f"k{number:02}" for number in range(30)])
    (inbox, *_) = [each for each in await export(ada, tmp_path, MailFormat.MAILDIR) if each.name == "INBOX"]
    assert inbox.keywords_left_out == 1


MUTT = "/usr/bin/mutt"


def mutt(box: Path, home: Path, keys: str, *options: str) -> None:
    """Open a mailbox and press keys; what comes of it is on disk when this returns."""
    (home / "muttrc").write_text(
        textwrap.dedent(
            f"""\
            set mbox_type=mbox confirmappend=no confirmcreate=no copy=no delete=yes quit=yes move=no wait_key=no
            set sort=mailbox-order header_cache="" beep=no folder="{home}" mark_old=no
            unset prompt_after
            push "{keys}"
            """
        )
    )
    done = subprocess.run(
        ["script", "-qec", " ".join([MUTT, "-n", *options, "-F", f"{home}/muttrc", "-f", str(box)]), "/dev/null"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def mutt_counts(box: Path, home: Path, pattern: str) -> int:
    """How many messages mutt finds by a pattern: it copies them to an mbox, which is counted."""
    target = home / f"copy{len(list(home.iterdir()))}.mbox"
    copying = f"<tag-pattern>{pattern}<enter><tag-prefix-cond><copy-message>{target}<enter><end-cond><exit>"
    mutt(box, home, copying, "-R")
    return target.read_bytes().count(b"\nContent-Length:") if target.exists() else 0


@pytest.mark.parametrize(("form", "place"), [(MailFormat.MBOX, "INBOX.mbox"), (MailFormat.MAILDIR, "")])
async def test_mutt_sees_the_messages_and_their_flags(
    ada: Someone, tmp_path: Path, form: MailFormat, place: str
) -> None:
    for number in range(24):
        flags = [flag for bit, flag in enumerate((SEEN, ANSWERED, FLAGGED)) if number >> bit & 1]
        await ada.append("INBOX", plain_message(number, body="From here\r\n\r\nFrom there on"), *flags)
    await export(ada, tmp_path / "mail", form)
    home = tmp_path / "home"
    home.mkdir()
    box = tmp_path / "mail" / place
    for pattern, messages in (("~A", 24), ("~F", 12), ("~Q", 12), ("~R", 12), ("~F ~Q ~R", 3), ("!~F !~Q", 6)):
        assert await asyncio.to_thread(mutt_counts, box, home, pattern) == messages, pattern


@pytest.mark.parametrize(("form", "place"), [(MailFormat.MBOX, "INBOX.mbox"), (MailFormat.MAILDIR, "")])
async def test_what_mutt_did_to_it_comes_back_with_the_octets_of_before(
    ada: Someone, bob: Someone, tmp_path: Path, form: MailFormat, place: str
) -> None:
    for number in range(6):
        await ada.append("INBOX", plain_message(number, body="From here\r\n\r\nFrom there on"))
    await ada.append("INBOX", b"Subject: odd\r\n\r\nbare\nline ends\r\r\n")
    await export(ada, tmp_path / "mail", form)
    home = tmp_path / "home"
    home.mkdir()
    first, last = "<search>~s Message.0<enter>", "<search>~s odd<enter>"  # a Maildir has no order of its own
    keys = f"{first}<flag-message>{first}<set-flag>r{last}<flag-message><sync-mailbox><exit>"
    await asyncio.to_thread(mutt, tmp_path / "mail" / place, home, keys)
    told = await bring(bob, tmp_path / "mail")
    assert [each.complaints for each in told if each.complaints] == []
    assert sorted(await bob.octets()) == sorted(await ada.octets())
    flagged = [
        octets
        for octets, flags in zip(await bob.octets(), (await bob.flags_of()).values(), strict=True)
        if flags.system & FLAGGED
    ]
    assert sorted(flagged) == sorted([(await ada.octets())[0], (await ada.octets())[-1]])


async def test_dovecot_sees_the_maildir_with_its_keywords(ada: Someone, tmp_path: Path) -> None:
    await give_mail(ada)
    await export(ada, tmp_path / "mail", MailFormat.MAILDIR)
    config = tmp_path / "dovecot.conf"
    config.write_text(
        f"mail_location = maildir:{tmp_path}/mail:INDEX=MEMORY\nbase_dir = {tmp_path}/run\n"
        "log_path = /dev/stderr\nssl = no\nprotocols =\ndefault_internal_user = nobody\n"
        "default_internal_group = nogroup\n"
        f"mail_home = {tmp_path}\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
    )

    def doveadm(*arguments: str) -> str:
        done = subprocess.run(
            ["unshare", "-U", "--map-user=65534", "--map-group=65534", "doveadm", "-c", str(config), *arguments],
            env={**os.environ, "USER": "nobody", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # what stands in base64 though it need not, Dovecot shows as it is
    assert {"INBOX", "项目/计划", "Archive/v1&AC4-2"} <= set(doveadm("mailbox", "list", "-8").split())
    fetched = doveadm("-f", "tab", "fetch", "flags", "mailbox", "项目/计划").splitlines()[1:]
    listed = sorted(tuple(sorted(line.replace("\\Recent", "").split())) for line in fetched)
    names = {SEEN: "\\Seen", ANSWERED: "\\Answered", FLAGGED: "\\Flagged", DELETED: "\\Deleted", DRAFT: "\\Draft"}
    expected = sorted(
        tuple(sorted([*(name for flag, name in names.items() if flags.system & flag), *flags.keywords]))
        for flags in (await ada.flags_of("项目/计划")).values()
    )
    assert listed == expected
