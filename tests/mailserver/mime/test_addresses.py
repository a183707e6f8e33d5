import time

import pytest

from mailserver.mime.addresses import GROUP_END, Address, parse_addresses


def one(name: str | None, mailbox: str, host: str, route: str | None = None) -> Address:
    return Address(name, route, mailbox, host)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        # RFC 5322 appendix A.1 and A.5
        ("John Doe <jdoe@machine.example>", one("John Doe", "jdoe", "machine.example")),
        ('"Joe Q. Public" <john.q.public@example.com>', one("Joe Q. Public", "john.q.public", "example.com")),
        ("<boss@nil.test>", one(None, "boss", "nil.test")),
        ('"Giant; \\"Big\\" Box" <sysservices@example.net>', one('Giant; "Big" Box', "sysservices", "example.net")),
        ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", one("Pete", "pete", "silly.test")),
        # Appendix A.6
        ("Joe Q. Public <john.q.public@example.com>", one("Joe Q. Public", "john.q.public", "example.com")),
        ("Mary Smith <@node.test:mary@example.net>", one("Mary Smith", "mary", "example.net", "@node.test")),
        ("jdoe@test  . example", one(None, "jdoe", "test.example")),
        ("John Doe <jdoe@machine(comment).  example>", one("John Doe", "jdoe", "machine.example")),
        # and what is met elsewhere
        ("kim@c.example (Kim Lee)", one("Kim Lee", "kim", "c.example")),
        ("Kim <@a.example,@b.example:kim@c.example>", one("Kim", "kim", "c.example", "@a.example,@b.example")),
        ("<@a.example@b.example:kim@c.example>", one(None, "kim", "c.example", "@a.example,@b.example")),
        ('"quoted local"@example.com', one(None, "quoted local", "example.com")),
        ("u@[192.0.2.1]", one(None, "u", "[192.0.2.1]")),
        ("Foo Bar foo@example.com", one("Foo Bar", "foo", "example.com")),
        ("foo@example.com Foo Bar", one("Foo Bar", "foo", "example.com")),
        ("a@b@example.com", one(None, "a@b", "example.com")),
        ("me@home <me@example.com>", one("me@home", "me", "example.com")),
        ("Kim <kim>", one("Kim", "kim", "")),
        ("kim (Kim Lee)", one("Kim Lee", "kim", "")),
        ("Mail Delivery System", one(None, "Mail Delivery System", "")),
        ("=?utf-8?Q?J=C3=B8rn?= <j@example.com>", one("=?utf-8?Q?J=C3=B8rn?=", "j", "example.com")),
        ("张三 <zhang@example.com>", one("张三", "zhang", "example.com")),
        ("Name <<a@b.example>>", one("Name", "a", "b.example")),
        ("Name <a@b.example", one("Name", "a", "b.example")),
        ("Name a@b.example>", one("Name", "a", "b.example")),
    ],
)
def test_one_address(value: str, address: Address):
    assert parse_addresses(value) == [address]


def test_lists_survive_empty_members_and_commas_in_quotes():
    assert parse_addresses(', "Doe, J" <j@a.example>,, k@b.example,') == [
        one("Doe, J", "j", "a.example"),
        one(None, "k", "b.example"),
    ]


def test_a_group_that_never_ends_ends_with_the_field():
    assert parse_addresses("friends: a@b.example, c@d.example") == [
        Address(None, None, "friends", None),
        one(None, "a", "b.example"),
        one(None, "c", "d.example"),
        GROUP_END,
    ]


def test_undisclosed_recipients_are_an_empty_group():
    assert parse_addresses("undisclosed-recipients:;") == [
        Address(None, None, "undisclosed-recipients", None),
        GROUP_END,
    ]


@pytest.mark.parametrize("broken", ['"Name <a@b.example>, c@d.example', "(Name <a@b.example>, c@d.example"])
def test_an_unclosed_quote_or_comment_does_not_swallow_the_addresses_after_it(broken: str):
    assert parse_addresses(broken) == [one("Name", "a", "b.example"), one(None, "c", "d.example")]


def test_semicolons_separate_as_some_programs_write_them():
    assert parse_addresses("a@b.example; c@d.example") == [one(None, "a", "b.example"), one(None, "c", "d.example")]


@pytest.mark.parametrize("piece", ['"', '"\\', "(", "(\\", "<", "<@a,", "a@b,", "@", ":", "[", " ", "a ", "=?", "\\"])
@pytest.mark.parametrize("head", ["", "<", "a " * 20_000 + "@"])
def test_hostile_lists_take_time_in_proportion_to_their_length(head: str, piece: str):
    began = time.process_time()
    parse_addresses(head + piece * 50_000)
    assert time.process_time() - began < 5


def test_an_endless_source_route_is_read_once():
    began = time.process_time()
    assert parse_addresses("<" + "@a," * 20_000 + ":x@y>")[0].mailbox == "x"
    assert time.process_time() - began < 5


def test_a_list_without_end_is_cut():
    assert len(parse_addresses("a," * 100_000)) == 2_000
    assert parse_addresses(", ".join([f"someone{number}@a.example" for number in range(5_000)]))[-1].host == "a.example"
