"""Email/query finds what its filter says, in the order that its sort says (RFC 8621 §4.4, RFC 8620 §5.5)."""

import itertools
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.account_deeds import Deeds
from tests.conftest import NOON, plain_message
from tests.someone import ADD, FLAGGED, SEEN, Someone
from tests.webmail.jmap.client import Jmap

Email = dict[str, Any]
PROPERTIES = [
    "mailboxIds",
    "keywords",
    "threadId",
    "receivedAt",
    "sentAt",
    "size",
    "subject",
    "from",
    "to",
    "hasAttachment",
]


@pytest.fixture
def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


async def found(jmap: Jmap, filter_: Any = None, **more: Any) -> list[str]:
    told = await jmap.call("Email/query", {"filter": filter_, "calculateTotal": True, **more})
    ids: list[str] = told["ids"]
    if "limit" not in more and "position" not in more and "anchor" not in more:
        assert told["total"] == len(ids)
    return ids


async def emails(jmap: Jmap) -> list[Email]:
    ids = await found(jmap)
    return list((await jmap.call("Email/get", {"ids": ids, "properties": PROPERTIES}))["list"])


def matches(filter_: Any, email: Email, all_emails: list[Email]) -> bool:
    """RFC 8621 §4.4.1, word by word."""
    if filter_ is None:
        return True
    if "operator" in filter_:
        each = [matches(condition, email, all_emails) for condition in filter_["conditions"]]
        return {"AND": all(each), "OR": any(each), "NOT": not any(each)}[filter_["operator"]]
    thread = [other["keywords"] for other in all_emails if other["threadId"] == email["threadId"]]
    return all(_holds(name, value, email, thread) for name, value in filter_.items())


def _holds(name: str, value: Any, email: Email, thread: list[Any]) -> bool:
    match name:
        case "inMailbox":
            return value in email["mailboxIds"]
        case "inMailboxOtherThan":
            return bool(set(email["mailboxIds"]).difference(value))
        case "before":
            return moment(email["receivedAt"]) < moment(value)
        case "after":
            return moment(email["receivedAt"]) >= moment(value)
        case "minSize":
            return bool(email["size"] >= value)
        case "maxSize":
            return bool(email["size"] < value)
        case "allInThreadHaveKeyword":
            return all(value in keywords for keywords in thread)
        case "someInThreadHaveKeyword":
            return any(value in keywords for keywords in thread)
        case "noneInThreadHaveKeyword":
            return not any(value in keywords for keywords in thread)
        case "hasKeyword":
            return value in email["keywords"]
        case "notKeyword":
            return value not in email["keywords"]
        case "hasAttachment":
            return bool(email["hasAttachment"] is value)
        case "subject":
            return value.lower() in email["subject"].lower()
        case "from":
            return any(value.lower() in f"{each['name']} <{each['email']}>".lower() for each in email["from"])
    raise AssertionError(name)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def some_filter(dice: random.Random, boxes: list[str], depth: int = 0) -> Any:
    if depth < 3 and dice.random() < 0.35:
        conditions = [some_filter(dice, boxes, depth + 1) for _ in range(dice.randrange(0, 4))]
        return {"operator": dice.choice(("AND", "OR", "NOT")), "conditions": conditions}
    day = (NOON + timedelta(minutes=dice.randrange(10_000))).strftime("%Y-%m-%dT%H:%M:%SZ")
    keyword = dice.choice(("$seen", "$draft", "$flagged", "work", "$forwarded"))
    of_one: Email = {
        "inMailbox": dice.choice(boxes),
        "inMailboxOtherThan": dice.sample(boxes, 2),
        "before": day,
        "after": day,
        "minSize": dice.randrange(200, 600),
        "maxSize": dice.randrange(200, 600),
        "allInThreadHaveKeyword": keyword,
        "someInThreadHaveKeyword": keyword,
        "noneInThreadHaveKeyword": keyword,
        "hasKeyword": keyword,
        "notKeyword": keyword,
        "hasAttachment": dice.random() < 0.5,
        "subject": dice.choice(("matter 1", "RE:", "2")),
        "from": dice.choice(("p1", "P@Elsewhere", "<p@")),
    }
    return {name: of_one[name] for name in dice.sample(list(of_one), dice.randrange(0, 3))}


@pytest.mark.parametrize("seed", range(3))
async def test_random_filters_find_what_they_say(jmap: Jmap, someone: Someone, seed: int) -> None:
    dice = random.Random(seed)
    await Deeds(someone, 3000 + seed).some(80)
    boxes = [each["id"] for each in (await jmap.call("Mailbox/get", {"ids": None}))["list"]]
    every = await emails(jmap)
    assert len(every) > 10
    for _ in range(60):
        filter_ = some_filter(dice, boxes)
        wanted = [email["id"] for email in every if matches(filter_, email, every)]
        assert await found(jmap, filter_) == wanted, filter_


def sort_value(comparator: dict[str, Any], email: Email, every: list[Email]) -> Any:
    name = comparator["property"]
    thread = [other["keywords"] for other in every if other["threadId"] == email["threadId"]]
    match name:
        case "hasKeyword":
            return comparator["keyword"] in email["keywords"]
        case "allInThreadHaveKeyword":
            return all(comparator["keyword"] in keywords for keywords in thread)
        case "someInThreadHaveKeyword":
            return any(comparator["keyword"] in keywords for keywords in thread)
        case "from" | "to":
            return (email[name][0]["name"] or email[name][0]["email"]).upper()
        case "subject":
            return email["subject"].removeprefix("Re: ").upper()
        case "size":
            return email["size"]
        case _:
            return moment(email[name])


@pytest.mark.parametrize("seed", range(3))
async def test_random_sorts_put_emails_in_the_order_they_say(jmap: Jmap, someone: Someone, seed: int) -> None:
    dice = random.Random(seed)
    await Deeds(someone, 4000 + seed).some(50)
    every = await emails(jmap)
    by_id = {email["id"]: email for email in every}
    for _ in range(25):
        sort = []
        for name in dice.sample(
            ("receivedAt", "sentAt", "size", "from", "to", "subject", "hasKeyword", "allInThreadHaveKeyword",
             "someInThreadHaveKeyword"), dice.randrange(1, 4)
        ):  # fmt: skip
            comparator: dict[str, Any] = {"property": name, "isAscending": dice.random() < 0.5}
            if "eyword" in name:
                comparator["keyword"] = dice.choice(("$seen", "$flagged", "work"))
            if dice.random() < 0.5:
                comparator["collation"] = dice.choice(("i;ascii-casemap", "i;unicode-casemap"))
            sort.append(comparator)
        order = await found(jmap, None, sort=sort)
        assert sorted(order) == sorted(by_id)
        for first, second in itertools.pairwise(order):
            for comparator in sort:
                mine, other = (sort_value(comparator, by_id[each], every) for each in (first, second))
                if mine != other:
                    assert (mine < other) == comparator["isAscending"], (sort, first, second)
                    break
        assert await found(jmap, None, sort=sort) == order


@pytest.mark.parametrize("seed", range(2))
async def test_of_each_thread_the_first_is_shown(jmap: Jmap, someone: Someone, seed: int) -> None:
    await Deeds(someone, 5000 + seed).some(60)
    threads = {email["id"]: email["threadId"] for email in await emails(jmap)}
    for sort in ([], [{"property": "size"}], [{"property": "receivedAt"}]):
        firsts = list({threads[each]: each for each in reversed(await found(jmap, None, sort=sort))}.values())[::-1]
        firsts.sort(key=(await found(jmap, None, sort=sort)).index)
        assert await found(jmap, None, sort=sort, collapseThreads=True) == firsts
        third = await found(jmap, None, sort=sort, collapseThreads=True, position=2, limit=2)
        assert third == firsts[2:4]
        anchored = await found(jmap, None, sort=sort, collapseThreads=True, anchor=firsts[3], anchorOffset=-1, limit=3)
        assert anchored == firsts[2:5]


async def ten(someone: Someone) -> list[str]:
    """Their ids, latest first."""
    placed = [
        await someone.receive(plain_message(number), received_at=NOON + timedelta(minutes=number))
        for number in range(10)
    ]
    return [f"M{each.message_id}" for each in reversed(placed)]


async def test_a_part_of_the_results_is_answered(jmap: Jmap, someone: Someone) -> None:
    ids = await ten(someone)
    assert await found(jmap, position=3, limit=2) == ids[3:5]
    assert await found(jmap, position=-3) == ids[-3:]
    assert await found(jmap, position=-30, limit=1) == ids[:1]
    assert await found(jmap, position=30) == []
    assert await found(jmap, limit=0) == []
    assert await found(jmap, anchor=ids[4], limit=2) == ids[4:6]
    assert await found(jmap, anchor=ids[4], anchorOffset=-2, limit=2, position=9) == ids[2:4]
    assert await found(jmap, anchor=ids[1], anchorOffset=-5, limit=2) == ids[:2]
    told = await jmap.call("Email/query", {"position": -3, "limit": 2})
    assert told["position"] == 7
    assert "total" not in told


async def test_an_anchor_that_is_not_among_the_results_is_not_found(jmap: Jmap, someone: Someone) -> None:
    ids = await ten(someone)
    for anchor in ("M1", "F1", ids[0]):
        asked = {"anchor": anchor, "filter": {"hasKeyword": "$draft"}}
        assert (await jmap.refusal("Email/query", asked))["type"] == "anchorNotFound"


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"filter": {"inMailBox": "F1"}}, "unsupportedFilter"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"),
        ({"filter": {"before": "2026-11-02T12:00:00+01:00"}}, "invalidArguments"),
        ({"filter": {"before": "2026-13-02T12:00:00Z"}}, "invalidArguments"),
        ({"filter": {"minSize": -1}}, "invalidArguments"),
        ({"filter": {"minSize": "1"}}, "invalidArguments"),
        ({"filter": {"hasKeyword": "a b"}}, "invalidArguments"),
        ({"filter": {"hasKeyword": None}}, "invalidArguments"),
        ({"filter": {"header": []}}, "invalidArguments"),
        ({"filter": {"header": ["a", "b", "c"]}}, "invalidArguments"),
        ({"filter": {"header": ["a b"]}}, "invalidArguments"),
        ({"filter": {"text": 1}}, "invalidArguments"),
        *(({"filter": {name: "x" * 1001}}, "unsupportedFilter") for name in ("text", "body", "subject", "from")),
        ({"filter": {"header": ["Subject", "x" * 1001]}}, "unsupportedFilter"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND"}}, "invalidArguments"),
        ({"sort": [{"property": "preview"}]}, "unsupportedSort"),
        ({"sort": [{"property": "subject", "collation": "i;nonsense"}]}, "unsupportedSort"),
        ({"sort": [{"property": "hasKeyword"}]}, "invalidArguments"),
        ({"sort": [{"property": "size", "isAscending": 1}]}, "invalidArguments"),
        ({"sort": "size"}, "invalidArguments"),
        ({"limit": -1}, "invalidArguments"),
        ({"collapseThreads": "yes"}, "invalidArguments"),
        ({"nonsense": True}, "invalidArguments"),
    ],
)
async def test_what_is_not_as_the_rfc_says_is_refused(jmap: Jmap, asked: dict[str, Any], kind: str) -> None:
    assert (await jmap.refusal("Email/query", asked))["type"] == kind


async def test_filters_may_not_be_too_deep(jmap: Jmap) -> None:
    filter_: Any = {}
    for _ in range(40):
        filter_ = {"operator": "NOT", "conditions": [filter_]}
    assert (await jmap.refusal("Email/query", {"filter": filter_}))["type"] == "unsupportedFilter"


async def test_header_fields_of_any_name_are_looked_through(jmap: Jmap, someone: Someone) -> None:
    one = await someone.receive(plain_message(1, x_ticket="Number 42, =?utf-8?q?caf=C3=A9?="))
    two = await someone.receive(plain_message(2, x_ticket="Number 43"))
    await someone.receive(plain_message(3))
    both = [f"M{two.message_id}", f"M{one.message_id}"]
    assert await found(jmap, {"header": ["X-Ticket"]}) == both
    assert await found(jmap, {"header": ["x-ticket", "CAFÉ"]}) == both[1:]
    assert await found(jmap, {"header": ["Ticket"]}) == []


async def test_words_and_phrases_are_found_in_people_and_subjects(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive(
        plain_message(
            1, subject="=?utf-8?q?Gr=C3=BC=C3=9Fe_from_the_sea?=", to="Bob B <bob@b.test>", cc="Eve <e@c.test>"
        )
    )
    await someone.receive(plain_message(2))
    ids = [f"M{placed.message_id}"]
    for filter_ in (
        {"subject": "sea grüsse"},
        {"subject": '"from the"'},
        {"subject": "'the sea'"},
        {"to": "bob"},
        {"to": "B.TEST Bob"},
        {"cc": "eve"},
        {"operator": "AND", "conditions": [{"from": "grace"}, {"cc": "c.test"}]},
    ):
        assert await found(jmap, filter_) == ids, filter_
    for filter_ in ({"subject": '"the from"'}, {"to": "eve"}, {"bcc": "eve"}, {"cc": "bob"}):
        assert await found(jmap, filter_) == [], filter_


async def test_texts_of_messages_are_looked_through(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive(plain_message(1, subject="Ships", body="The anchor of the harbour"))
    await someone.receive(plain_message(2, body="Nothing of note"))
    archived = await someone.append("Archive", plain_message(3, subject="Anchor", body="away"))
    assert await found(jmap, {"body": "anchor"}) == [f"M{placed.message_id}"]
    assert set(await found(jmap, {"text": "anchor"})) == {f"M{placed.message_id}", f"M{archived.message_id}"}
    assert await found(jmap, {"text": "anchor harbour"}) == [f"M{placed.message_id}"]
    assert await found(jmap, {"text": "ships harbour"}) == [f"M{placed.message_id}"]
    assert await found(jmap, {"body": "ships"}) == []
    assert await found(jmap, {"inMailbox": f"F{archived.mailbox_id}", "text": "anchor"}) == [f"M{archived.message_id}"]


async def test_collations_order_letters_beyond_ascii_each_in_their_way(jmap: Jmap, someone: Someone) -> None:
    subjects = ["zebra", "=?utf-8?q?=C3=A9toile?=", "Elk", "ape", "10 apes", "9 apes"]
    for number, subject in enumerate(subjects):
        await someone.receive(plain_message(number, subject=subject))

    async def ordered(collation: str) -> list[str]:
        ids = await found(jmap, sort=[{"property": "subject", "collation": collation}])
        shown = await jmap.call("Email/get", {"ids": ids, "properties": ["subject"]})
        by_id = {each["id"]: each["subject"] for each in shown["list"]}
        return [by_id[each] for each in ids]

    assert await ordered("i;unicode-casemap") == ["10 apes", "9 apes", "ape", "Elk", "étoile", "zebra"]
    assert await ordered("i;ascii-casemap") == ["10 apes", "9 apes", "ape", "Elk", "zebra", "étoile"]
    assert (await ordered("i;ascii-numeric"))[:2] == ["9 apes", "10 apes"]


async def test_the_example_of_the_rfc_is_answered(jmap: Jmap, someone: Someone) -> None:
    """RFC 8621 §4.4.2: flagged threads first, then by subject, then newest first."""
    plain = await someone.receive(plain_message(1, subject="b"))
    flagged = await someone.receive(plain_message(2, subject="z"))
    answer = await someone.receive(plain_message(3, subject="a", in_reply_to="<2@elsewhere.test>"))
    await someone.flag("INBOX", [flagged.uid], ADD, FLAGGED, SEEN)
    sort = [
        {"property": "someInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False},
        {"property": "subject", "collation": "i;ascii-casemap"},
        {"property": "receivedAt", "isAscending": False},
    ]
    assert await found(jmap, sort=sort) == [f"M{each.message_id}" for each in (answer, flagged, plain)]
