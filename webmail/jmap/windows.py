"""Which part of a query's results is answered (RFC 8620 §5.5), for types of which there are few."""

from collections.abc import Sequence

from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.standard import StandardQuery

MOST_IDS = 5_000


def first_index(ids: Sequence[str], asked: StandardQuery) -> int:
    """Where the answer begins. Raises anchorNotFound."""
    if asked.anchor is not None:
        try:
            return max(0, ids.index(asked.anchor) + asked.anchor_offset)
        except ValueError:
            raise MethodError("anchorNotFound") from None
    return asked.position if asked.position >= 0 else max(0, len(ids) + asked.position)


def query_response(
    account_id: str, ids: Sequence[str], asked: StandardQuery, *, query_state: str, can_calculate_changes: bool
) -> JsonObject:
    """The response of a /query whose results are `ids`, all of them."""
    start = first_index(ids, asked)
    limit = MOST_IDS if asked.limit is None else min(asked.limit, MOST_IDS)
    response: JsonObject = {
        "accountId": account_id,
        "queryState": query_state,
        "canCalculateChanges": can_calculate_changes,
        "position": start,
        "ids": list(ids[start : start + limit]),
    }
    if asked.is_total_wanted:
        response["total"] = len(ids)
    if asked.limit is not None and asked.limit > MOST_IDS:
        response["limit"] = MOST_IDS
    return response
