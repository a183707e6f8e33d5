"""The session resource: what a person can do here, and where (RFC 8620 §2)."""

import hashlib

from mailserver.assembly import Parts
from tenants.types import Principal
from webmail.jmap.capabilities import CAPABILITIES
from webmail.jmap.errors import JsonObject
from webmail.jmap.ids import account_id
from webmail.jmap.ijson import write
from webmail.jmap.limits import Limits


def session_object(parts: Parts, who: Principal, limits: Limits, origin: str) -> JsonObject:
    """`origin` is how the client reached us: scheme, host and port (RFC 6454 §6.2)."""
    session = _session(parts, who, limits, origin)
    return {**session, "state": _state(session)}


def session_state(parts: Parts, who: Principal, limits: Limits, origin: str) -> str:
    """What every response tells, so that a client hears when it should fetch the session again."""
    return _state(_session(parts, who, limits, origin))


def _session(parts: Parts, who: Principal, limits: Limits, origin: str) -> JsonObject:
    mine = account_id(who.account_id)
    of_account = {urn: each.of_account for urn, each in CAPABILITIES.items() if each.of_account is not None}
    return {
        "capabilities": {
            urn: {**each.of_server(parts, limits), **(each.at_origin(origin) if each.at_origin is not None else {})}
            for urn, each in CAPABILITIES.items()
        },
        "accounts": {
            mine: {
                "name": str(who.address),
                "isPersonal": True,
                "isReadOnly": False,
                "accountCapabilities": {urn: told(parts, limits) for urn, told in of_account.items()},
            }
        },
        "primaryAccounts": dict.fromkeys(of_account, mine),
        "username": str(who.address),
        "apiUrl": f"{origin}/jmap/api/",
        "downloadUrl": f"{origin}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}",
        "uploadUrl": f"{origin}/jmap/upload/{{accountId}}/",
        "eventSourceUrl": f"{origin}/jmap/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
    }


def _state(session: JsonObject) -> str:
    return hashlib.blake2b(write(session), digest_size=8).hexdigest()
