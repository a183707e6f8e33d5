"""Email/query and /queryChanges over letters of every kind (RFC 8621 §§4.4 and 4.5)."""

from typing import Any

import pytest

from tests.webmail.jmap.conformance.account import LETTERS, NEWEST_FIRST, Account, days_ago

NEWEST = [{"property": "receivedAt", "isAscending": False}]
THREAD = {"opening", "answer", "third"}


def having(*keywords: str) -> set[str]:
    return {name for name, each in LETTERS.items() if set(keywords) & set(each.keywords)}


def within(box: str) -> set[str]:
    return {name for name, each in LETTERS.items() if box in each.boxes}


def all_but(names: set[str]) -> set[str]:
    return LETTERS.keys() - names


FILTERS: list[tuple[Any, set[str]]] = [
    (None, set(LETTERS)),
    ({}, set(LETTERS)),
    ({"before": days_ago(9.5)}, {"plain", "old"}),
    ({"after": days_ago(0.45)}, {"japanese", "korean", "malformed"}),
    ({"after": days_ago(9.5), "before": days_ago(7)}, {"report", "opening"}),
    ({"minSize": 10_000}, {"large"}),
    ({"maxSize": 10_000}, all_but({"large"})),
    ({"hasKeyword": "$flagged"}, having("$flagged")),
    ({"hasKeyword": "errand"}, {"tagged"}),
    ({"notKeyword": "$seen"}, all_but(having("$seen"))),
    ({"hasAttachment": True}, {"report"}),
    ({"hasAttachment": False}, all_but({"report"})),
    ({"text": "Harbour plan"}, THREAD),
    ({"text": "theremin"}, {"third"}),
    ({"from": "grace@elsewhere.test"}, {"plain", "answer"}),
    ({"from": "Grace Hopper"}, {"plain", "answer"}),
    ({"to": "grace@elsewhere.test"}, {"opening", "third"}),
    ({"cc": "kim@elsewhere.test"}, {"report"}),
    ({"bcc": "kay@elsewhere.test"}, {"blind"}),
    ({"subject": "tide report"}, {"report"}),
    ({"body": "boat house"}, {"plain"}),
    ({"header": ["X-Parcel"]}, {"list"}),
    ({"header": ["X-Parcel", "31-7"]}, {"list"}),
    ({"header": ["X-Parcel", "elsewhere"]}, set()),
    ({"someInThreadHaveKeyword": "$answered"}, THREAD),
    ({"noneInThreadHaveKeyword": "$answered"}, all_but(THREAD)),
    ({"operator": "OR", "conditions": [{"hasKeyword": "$flagged"}, {"hasKeyword": "$answered"}]},
     having("$flagged", "$answered")),
    ({"operator": "NOT", "conditions": [{"hasKeyword": "$seen"}]}, all_but(having("$seen"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("filter_", "expected"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
async def test_a_filter_finds_what_it_says(account: Account, filter_: Any, expected: set[str]) -> None:
    found = await account.found(filter_)
    assert len(found) == len(expected)
    assert set(found) == expected


async def test_mailboxes_filter_alone_and_with_other_conditions(account: Account) -> None:
    inbox = {"inMailbox": account.boxes["inbox"]}
    for filter_, expected in (
        (inbox, within("inbox")),
        ({"inMailbox": account.boxes["A1"]}, {"nested"}),
        ({"inMailboxOtherThan": [account.boxes["inbox"]]}, within("A") | within("B") | within("A1")),
        ({**inbox, "hasKeyword": "$flagged"}, {"report"}),
        ({"operator": "AND", "conditions": [inbox, {"hasKeyword": "$seen"}]}, within("inbox") & having("$seen")),
        (
            {
                "operator": "OR",
                "conditions": [
                    {"operator": "AND", "conditions": [inbox, {"hasKeyword": "$seen"}]},
                    {"hasKeyword": "$flagged"},
                ],
            },
            within("inbox") & having("$seen") | having("$flagged"),
        ),
    ):
        assert set(await account.found(filter_)) == expected, filter_


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({"property": "receivedAt", "isAscending": True}, ["large", "zara", "amy", "mike"]),
        ({"property": "receivedAt", "isAscending": False}, ["mike", "amy", "zara", "large"]),
        ({"property": "sentAt", "isAscending": True}, ["zara", "large", "amy", "mike"]),
        ({"property": "size", "isAscending": True}, ["mike", "zara", "amy", "large"]),
        ({"property": "from", "isAscending": True}, ["amy", "large", "mike", "zara"]),
        ({"property": "subject", "isAscending": True}, ["zara", "amy", "mike", "large"]),
    ],
    ids=str,
)
async def test_emails_come_in_the_order_that_is_asked_for(account: Account, sort: Any, expected: list[str]) -> None:
    assert await account.found({"inMailbox": account.boxes["B"]}, sort=[sort]) == expected


async def test_flagged_first_and_everybody_by_whom_it_is_to(account: Account) -> None:
    flagged = [{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}]
    assert (await account.found({"inMailbox": account.boxes["B"]}, sort=flagged))[0] == "amy"
    by_to = await account.found(None, sort=[{"property": "to", "isAscending": True}])
    assert (by_to[-2:], set(by_to[:-2])) == (["opening", "blind"], all_but({"opening", "blind"}))
    both = [*NEWEST, {"property": "subject", "isAscending": True}]
    assert await account.found(None, sort=both) == NEWEST_FIRST


async def test_a_page_is_where_it_is_asked_for(account: Account) -> None:
    async def page(**asked: Any) -> tuple[int, list[str]]:
        told = await account.jmap.call("Email/query", {"filter": None, "sort": NEWEST, "calculateTotal": True, **asked})
        assert told["total"] == len(LETTERS)
        return told["position"], account.names(told["ids"])

    assert await page(position=0, limit=5) == (0, NEWEST_FIRST[:5])
    assert await page(position=2, limit=3) == (2, NEWEST_FIRST[2:5])
    assert await page(position=-3) == (len(LETTERS) - 3, NEWEST_FIRST[-3:])
    assert (await page(position=99_999))[1] == []
    anchor = account.emails[NEWEST_FIRST[3]]
    assert await page(anchor=anchor, limit=3) == (3, NEWEST_FIRST[3:6])
    assert await page(anchor=anchor, anchorOffset=-1, limit=3) == (2, NEWEST_FIRST[2:5])
    refused = await account.jmap.refusal("Email/query", {"anchor": "no-such-email"})
    assert refused["type"] == "anchorNotFound"


async def test_of_a_thread_that_is_collapsed_the_first_is_shown(account: Account) -> None:
    expected = [name for name in NEWEST_FIRST if name not in ("opening", "answer")]
    for filter_, names in ((None, expected), ({"subject": "Harbour plan"}, ["third"])):
        asked = {"filter": filter_, "sort": NEWEST, "collapseThreads": True, "calculateTotal": True}
        told = await account.jmap.call("Email/query", asked)
        assert (account.names(told["ids"]), told["total"]) == (names, len(names))
    inbox = await account.found({"inMailbox": account.boxes["inbox"]}, sort=NEWEST, collapseThreads=True)
    assert "third" in inbox and "answer" not in inbox


async def test_changes_of_a_list_tell_what_came_and_went(account: Account) -> None:
    jmap = account.jmap
    asked = {"filter": {"inMailbox": account.boxes["inbox"]}, "sort": NEWEST}

    async def since(state: str) -> Any:
        return await jmap.call("Email/queryChanges", {**asked, "sinceQueryState": state})

    state = (await jmap.call("Email/query", asked))["queryState"]
    email = await account.draft("inbox")
    came = await since(state)
    assert came["added"] == [{"id": email, "index": 0}]
    await account.destroy(email)
    went = await since(came["newQueryState"])
    assert (went["removed"], went["added"]) == ([email], [])


@pytest.mark.parametrize("asked", [{}, {"filter": {}}, {"filter": None}])
async def test_a_list_has_no_changes_since_the_state_of_now(account: Account, asked: Any) -> None:
    state = (await account.jmap.call("Email/query", asked))["queryState"]
    told = await account.jmap.call("Email/queryChanges", {**asked, "sinceQueryState": state})
    assert (told["oldQueryState"], told["newQueryState"]) == (state, state)
    assert (told["removed"], told["added"]) == ([], [])
