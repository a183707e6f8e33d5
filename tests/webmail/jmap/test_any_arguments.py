"""Whatever a call says, it is answered or refused with a word of the RFC: never is it our fault (RFC 8620 §3.9)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.webmail.jmap.client import Jmap
from webmail.jmap.capabilities import CAPABILITIES
from webmail.jmap.methods import METHODS

NAMES = sorted(
    {
        *("ids", "properties", "sinceState", "sinceQueryState", "maxChanges", "filter", "sort", "position", "anchor"),
        *("anchorOffset", "limit", "calculateTotal", "upToId", "collapseThreads", "create", "update", "destroy"),
        *("ifInState", "emails", "blobIds", "fromAccountId", "typeNames", "offset", "length", "bodyProperties"),
        *("fetchTextBodyValues", "fetchAllBodyValues", "maxBodyValueBytes", "emailIds", "onDestroyRemoveEmails"),
        *("sortAsTree", "filterAsTree", "onSuccessUpdateEmail", "onSuccessDestroyEmail", "forEmailId"),
    }
)
WORDS = st.sampled_from(
    [
        *("M1", "F1", "T1", "BM1", "BU1-1", "I1", "S1", "P1", "Qmail", "#a", "a", "", "1-1", "0-0-0", "9" * 30, "id"),
        *("header:From:asText", "header:", "inMailbox", "text", "operator", "\x00", "好", "receivedAt", "$seen"),
        *("2026-01-01T00:00:00Z", "singleton", "subject"),
    ]
)
KEYS = st.sampled_from(
    [
        *(
            "id",
            "name",
            "operator",
            "conditions",
            "property",
            "isAscending",
            "inMailbox",
            "hasKeyword",
            "text",
            "before",
        ),
        *(
            "keywords",
            "mailboxIds",
            "keywords/$seen",
            "mailboxIds/F1",
            "bodyValues",
            "textBody",
            "bodyStructure",
            "from",
        ),
        *(
            "blobId",
            "data",
            "data:asText",
            "parentId",
            "role",
            "header:Subject:asText",
            "a",
            "#a",
            "M1",
            "F1",
            "",
            "\x00",
        ),
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([2**53, -(2**63), 10**40, 0.5, 1e300]) | WORDS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
CONDITION = st.dictionaries(KEYS, VALUES, max_size=2)
SHAPES = st.one_of(
    VALUES,
    st.lists(WORDS, max_size=3),
    CONDITION,
    st.lists(
        st.fixed_dictionaries({"property": KEYS}, optional={"keyword": WORDS, "isAscending": st.booleans()}), max_size=2
    ),
    st.fixed_dictionaries(
        {"operator": st.sampled_from(["AND", "OR", "NOT"]), "conditions": st.lists(CONDITION, max_size=2)}
    ),
    st.dictionaries(WORDS, CONDITION, max_size=2),
)


@pytest.mark.parametrize("name", sorted(METHODS))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.dictionaries(st.sampled_from(NAMES), SHAPES, max_size=4))
async def test_no_arguments_are_our_fault(jmap: Jmap, name: str, arguments: dict[str, Any]) -> None:
    if not name.startswith("PushSubscription/"):  # which are of nobody's account (§7.2)
        arguments = {"accountId": jmap.account_id, **arguments}
    with capture_logs() as logs:
        answer = await jmap.post({"using": list(CAPABILITIES), "methodCalls": [[name, arguments, "0"]]})
    assert answer.status == 200, (answer.body, logs)
    told, found, _ = answer.json()["methodResponses"][0]
    assert told in ("error", name)
    assert found.get("type") not in ("serverFail", "serverPartialFail"), logs
