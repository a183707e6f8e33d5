"""Whatever a client sends as an Email: it is refused by name, or becomes a message that says no more than was meant."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.structure import scan
from tests.webmail.jmap.test_email_creation import STAMP, read
from webmail.jmap.email_composing import compose
from webmail.jmap.email_creation import Draft, parse_creation
from webmail.jmap.email_headers import parse_fields
from webmail.jmap.errors import SetError

TEXT = st.sampled_from(
    [
        *(
            "",
            " ",
            "a",
            "t",
            "h",
            "好",
            "a@b",
            "<a@b>",
            "a\r\nBcc: evil@x",
            "a\nBcc: evil@x",
            "\0",
            "=?utf-8?Q?a?=",
            '"',
        ),
        *("text/plain", "text/html", "multipart/mixed", "message/rfc822", "image/png", "inline", "attachment", "en"),
        *(" text/plain; x=1", "2026-01-01T00:00:00Z", "\\", "(", "a, b", "x" * 1200, "é" * 300, "a\r\n\r\nbody", "--"),
    ]
) | st.text(max_size=10)
ADDRESS = st.fixed_dictionaries({"email": TEXT}, optional={"name": st.none() | TEXT})
VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), TEXT, st.lists(TEXT, max_size=3), st.lists(ADDRESS, max_size=3)
)
HEADERS = st.sampled_from(
    [
        *("subject", "from", "to", "bcc", "sentAt", "messageId", "references", "header:X-A", "header:X-A:asText"),
        *(
            "header:X-B:asText:all",
            "header:X-C:asAddresses",
            "header:X-D:asGroupedAddresses",
            "header:List-Post:asURLs",
        ),
        *("header:X-E:asDate", "header:X-F:asMessageIds", "header:Subject", "header:Received", "header:Content-Type"),
        *("header:MIME-Version", "header:Date", "header:x", "preview", "keywords"),
    ]
)
PART_NAMES = st.sampled_from(
    [
        *("type", "partId", "blobId", "name", "cid", "disposition", "language", "location", "charset", "size"),
        *(
            "header:Content-Type",
            "header:Content-Disposition",
            "header:Content-Language",
            "header:X-A",
            "header:X-A:asText",
        ),
        *("header:Content-ID", "header:Content-Transfer-Encoding"),
    ]
)
LEAF = st.dictionaries(PART_NAMES, VALUE, max_size=4)
GOOD_LEAF = st.builds(
    lambda base, more: {**base, **more},
    st.sampled_from([{"partId": "t", "type": "text/plain"}, {"partId": "h", "type": "text/html"}, {"blobId": "b"}]),
    st.dictionaries(
        st.sampled_from(["name", "cid", "disposition", "location", "header:X-A", "language"]), VALUE, max_size=2
    ),
)
PART: st.SearchStrategy[Any] = st.recursive(
    LEAF | GOOD_LEAF,
    lambda inner: st.builds(
        lambda type_, parts: {"type": type_, "subParts": parts},
        st.sampled_from(["multipart/mixed", "multipart/alternative", "multipart/related"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)
PEOPLE = st.lists(ADDRESS, max_size=3)
WELL_TYPED = st.fixed_dictionaries(
    {"bodyValues": st.builds(lambda text: {"t": {"value": text}, "h": {"value": text}}, TEXT)},
    optional={
        **dict.fromkeys(("subject", "header:X-A", "header:X-B:asText"), TEXT),
        **dict.fromkeys(("from", "to", "bcc", "header:X-C:asAddresses"), PEOPLE),
        "header:X-D:asGroupedAddresses": st.lists(
            st.fixed_dictionaries({"name": st.none() | TEXT, "addresses": PEOPLE}), max_size=2
        ),
        "bodyStructure": PART | GOOD_LEAF,
    },
)
EMAIL = WELL_TYPED | st.builds(
    lambda headers, bodies: {**headers, **bodies},
    st.dictionaries(HEADERS, VALUE, max_size=4),
    st.fixed_dictionaries(
        {"bodyValues": st.just({"t": {"value": "text\n"}, "h": {"value": "<p>html"}}) | VALUE},
        optional={
            "bodyStructure": PART,
            "textBody": st.lists(GOOD_LEAF, max_size=1),
            "htmlBody": st.lists(GOOD_LEAF, max_size=1),
            "attachments": st.lists(LEAF | GOOD_LEAF, max_size=3),
        },
    ),
)
BLOBS = dict.fromkeys(("b",), b"From: a\r\n\r\n\x00\xff blob")


def drafted(email: Any) -> Draft | SetError:
    try:
        return parse_creation(email)
    except SetError as error:
        return error


@given(EMAIL)
def test_it_is_refused_by_name_or_written_as_it_was_meant(email: Any) -> None:
    draft = drafted(email)
    if isinstance(draft, SetError):
        assert draft.kind == "invalidProperties"
        assert draft.properties
        return
    octets = compose(draft, dict.fromkeys(draft.blob_ids, BLOBS["b"]), STAMP)
    header = octets[: scan(octets).header_octets]
    asked = {name.split(":")[1].lower() for name in email if name.startswith("header:")}
    structure = email.get("bodyStructure") or {}
    asked |= {name.split(":")[1].lower() for name in structure if name.startswith("header:")}
    usual = {
        *("message-id", "date", "mime-version", "content-type", "content-disposition", "content-id"),
        *("content-language", "content-location", "content-transfer-encoding"),
        *("subject", "from", "to", "bcc", "references"),
    }
    names = [field.name.decode().lower() for field in parse_fields(header).all]
    assert set(names) <= usual | asked
    assert ("bcc" in names) <= ("bcc" in email)
    assert names.count("message-id") == 1 or "messageId" in email
    read(octets)
