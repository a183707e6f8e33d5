"""SearchSnippet/get (RFC 8621 §5)."""

from typing import Any

import pytest

from tests.conftest import plain_message
from tests.letters import multipart, part
from tests.mailserver.services.test_search import CHINESE, LARGE
from tests.webmail.jmap.client import Jmap

FOOSBALL = plain_message(1, subject="The Foosball competition", body="This year the foosball <finals>\r\nwill be held.")
HTML = multipart(part(b"<p>Foo&amp;Bar <b>wid</b>get</p>", "Content-Type: text/html"), subject="x")


async def marked(jmap: Jmap, filter_: Any, *emails: str) -> list[tuple[str | None, str | None]]:
    told = await jmap.call("SearchSnippet/get", {"filter": filter_, "emailIds": list(emails)})
    assert told["notFound"] is None
    assert [each["emailId"] for each in told["list"]] == list(emails)
    return [(each["subject"], each["preview"]) for each in told["list"]]


@pytest.mark.parametrize(
    ("letter", "filter_", "expected"),
    [
        (
            FOOSBALL,
            {"text": "foo"},
            (
                "The <mark>Foo</mark>sball competition",
                "This year the <mark>foo</mark>sball &lt;finals&gt; will be held.",
            ),
        ),
        (
            FOOSBALL,
            {"text": '"finals will"'},
            (None, "This year the foosball &lt;<mark>finals&gt; will</mark> be held."),
        ),
        (FOOSBALL, {"subject": "foo"}, ("The <mark>Foo</mark>sball competition", None)),
        (FOOSBALL, {"body": "held"}, (None, "This year the foosball &lt;finals&gt; will be <mark>held</mark>.")),
        (FOOSBALL, {"from": "grace"}, (None, None)),
        (FOOSBALL, {"text": "nowhere"}, (None, None)),
        (FOOSBALL, None, (None, None)),
        (
            FOOSBALL,
            {
                "operator": "AND",
                "conditions": [{"subject": "the"}, {"operator": "NOT", "conditions": [{"text": "foosball"}]}],
            },
            ("<mark>The</mark> Foosball competition", None),
        ),
        (HTML, {"text": "widget bar"}, (None, "Foo&amp;<mark>Bar</mark> <mark>widget</mark>")),
        (
            CHINESE,
            {"text": "季度"},
            ("会议纪要：<mark>季度</mark>预算", "各位同事：附件是本<mark>季度</mark>的预算表，请查收。"),
        ),
    ],
)
async def test_what_matches_is_shown_and_marked(jmap: Jmap, letter: bytes, filter_: Any, expected: object) -> None:
    placed = await jmap.receive(letter)
    assert await marked(jmap, filter_, f"M{placed.message_id}") == [expected]


async def test_the_snippet_of_a_large_message_is_found_at_its_end(jmap: Jmap) -> None:
    placed = await jmap.receive(LARGE)
    ((_, preview),) = await marked(jmap, {"text": "needle"}, f"M{placed.message_id}")
    assert preview is not None
    assert preview.endswith("<mark>needle</mark> at the end")


async def test_ids_of_nothing_are_not_found(jmap: Jmap) -> None:
    placed = await jmap.receive(FOOSBALL)
    email = f"M{placed.message_id}"
    told = await jmap.call("SearchSnippet/get", {"filter": {"text": "foo"}, "emailIds": ["M1", email, "zz", email]})
    assert told["notFound"] == ["M1", "zz"]
    assert [each["emailId"] for each in told["list"]] == [email]


async def test_what_is_searched_for_is_found_and_shown_with_one_request(jmap: Jmap) -> None:
    placed = await jmap.receive(FOOSBALL)
    await jmap.receive(CHINESE)
    filter_ = {"text": "foosball"}
    answer = await jmap.request(
        ["Email/query", {"accountId": jmap.account_id, "filter": filter_}, "0"],
        [
            "SearchSnippet/get",
            {
                "accountId": jmap.account_id,
                "filter": filter_,
                "#emailIds": {"resultOf": "0", "name": "Email/query", "path": "/ids"},
            },
            "1",
        ],
    )
    _, (name, told, _) = answer["methodResponses"]
    assert name == "SearchSnippet/get"
    assert [each["emailId"] for each in told["list"]] == [f"M{placed.message_id}"]


async def test_of_very_many_words_a_hundred_are_marked(jmap: Jmap) -> None:
    placed = await jmap.receive(plain_message(1, subject=" ".join(f"a{number}" for number in range(120))))
    conditions = [{"subject": f"a{number}"} for number in range(120)]
    filter_ = {"operator": "AND", "conditions": conditions}
    ((subject, _),) = await marked(jmap, filter_, f"M{placed.message_id}")
    assert subject is not None
    assert "<mark>a99</mark>" in subject
    assert "<mark>a100</mark>" not in subject


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "invalidArguments"),
        ({"emailIds": None}, "invalidArguments"),
        ({"emailIds": ["M1"], "filter": {"unknown": 1}}, "unsupportedFilter"),
        ({"emailIds": ["M1"], "filter": {"text": 1}}, "invalidArguments"),
        ({"emailIds": [f"M{n}" for n in range(1, 502)]}, "requestTooLarge"),
        ({"emailIds": ["M1"], "properties": []}, "invalidArguments"),
    ],
)
async def test_what_is_asked_wrongly_is_refused(jmap: Jmap, arguments: dict[str, Any], kind: str) -> None:
    answer = await jmap.request(["SearchSnippet/get", {"accountId": jmap.account_id, **arguments}, "0"])
    ((name, told, _),) = answer["methodResponses"]
    assert (name, told["type"]) == ("error", kind)
