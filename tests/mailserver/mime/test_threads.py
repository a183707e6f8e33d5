import time

import pytest

from mailserver.mime.threads import (
    REFERENCES_KEPT,
    base_subject,
    is_reply_or_forward,
    message_id_of,
    parents_of,
    reference_ids,
)


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: budget", "budget"),
        ("RE:  FW: Fwd:budget (fwd) (FWD) ", "budget"),
        ("re[2]: budget", "budget"),
        ("Re [list] : budget", "budget"),
        ("[list] Re: [list] budget", "budget"),
        ("[list][other] budget", "budget"),
        ("[list]", "[list]"),
        ("Re: [list] ", "[list]"),
        ("[a] [b]", "[b]"),
        ("[fwd: budget]", "budget"),
        ("Re: [Fwd: Re: [list] budget (fwd)] (fwd)", "budget"),
        ("[fwd: budget] more", "more"),
        ("budget\t for \r\n 2025", "budget for 2025"),
        ("Reply: budget", "Reply: budget"),
        ("fwdd: budget", "fwdd: budget"),
        ("Re:", ""),
        ("(fwd)", ""),
        ("", ""),
        ("Budget", "Budget"),
        ("回复: 预算", "回复: 预算"),
        ("Re: 预算", "预算"),
        ("[a[b]] budget", "[a[b]] budget"),
    ],
)
def test_base_subjects_follow_rfc_5256(subject: str, base: str):
    assert base_subject(subject) == base


@pytest.mark.parametrize("piece", ["Re: ", "[", "[a]", "(fwd)", "[fwd:", " ", "re[", "[a] re", "]"])
def test_hostile_subjects_take_bounded_time(piece: str):
    began = time.process_time()
    base_subject(piece * 100_000)
    assert time.process_time() - began < 2


def test_ids_come_from_all_three_fields_each_once():
    header = (
        b"References: <a@x> <b@x>\r\n <c@x>\r\nMessage-ID: <d@x>\r\n"
        b"In-Reply-To: Your message of Monday <c@x> (Ann <not an id>)\r\n\r\n"
    )
    assert reference_ids(header) == (b"d@x", b"c@x", b"notanid", b"a@x", b"b@x")


def test_an_id_without_brackets_still_names_the_message():
    assert reference_ids(b"Message-ID: 1@x\r\n") == (b"1@x",)
    assert reference_ids(b"Message-ID:\r\nReferences: nothing here\r\n") == ()


def test_long_chains_keep_their_ends():
    ids = [b"%d@x" % n for n in range(500)]
    kept = reference_ids(b"References: " + b" ".join(b"<" + each + b">" for each in ids) + b"\r\n")
    assert len(kept) == REFERENCES_KEPT
    assert (kept[0], kept[-1]) == (ids[0], ids[-1])


def test_repeated_reference_fields_are_one():
    assert reference_ids(b"References: <a@x>\r\nReferences: <b@x>\r\n") == (b"a@x", b"b@x")


@pytest.mark.parametrize(
    ("subject", "is_marked"),
    [
        ("Re: lunch", True),
        ("RE[2]: lunch", True),
        ("fw: lunch", True),
        ("Fwd: lunch", True),
        ("[list] re: lunch", True),
        ("lunch (fwd)", True),
        ("[Fwd: lunch]", True),
        ("  lunch", False),
        ("[list] lunch", False),
        ("lunch", False),
        ("report: lunch", False),
        ("", False),
    ],
)
def test_a_reply_or_forward_shows_in_its_subject(subject: str, is_marked: bool) -> None:
    assert is_reply_or_forward(subject) == is_marked


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("<a@b.test>", b"a@b.test"),
        ('<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', b"01KF8JCEOCBS0045PS@xxx.yyy.com"),
        ('<"a\\"b"@x.test>', b'a"b@x.test'),
        ("< a @b.test >", b"a@b.test"),
        ("a@b.test", b"a@b.test"),
        ("(comment) <a@b.test>", b"a@b.test"),
        ("", None),
        ("<>", b"<>"),
    ],
)
def test_a_message_id_has_one_form(written: str, normalised: bytes | None) -> None:
    assert message_id_of({"message-id": written}) == normalised


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({"references": "<a@x> <b@x>", "in-reply-to": "<c@x>"}, [b"a@x", b"b@x"]),
        ({"references": "nothing valid", "in-reply-to": "<c@x> <d@x>"}, [b"c@x"]),
        ({"in-reply-to": 'Your mail of Monday <c@x> "Ann" <ann@x>'}, [b"c@x"]),
        ({"in-reply-to": "Your mail of Monday"}, []),
        ({}, []),
    ],
)
def test_what_a_message_refers_to(fields: dict[str, str], ids: list[bytes]) -> None:
    assert parents_of(fields) == ids
