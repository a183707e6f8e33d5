"""What JMAP says when it refuses: a request (RFC 8620 §3.6.1), one method (§3.6.2), one object of a set (§5.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]

_URN = "urn:ietf:params:jmap:error:"


@dataclass(eq=False)
class RequestError(Exception):
    """A request that is refused whole, as problem details (RFC 7807). `kind` is a word of the RFC: notJSON, limit …

    `limit` names the limit that was exceeded, for the kind `limit`.
    """

    kind: str
    detail: str
    status: int = 400
    limit: str | None = None

    def problem(self) -> JsonObject:
        problem: JsonObject = {"type": _URN + self.kind, "status": self.status, "detail": self.detail}
        return problem if self.limit is None else {**problem, "limit": self.limit}


@dataclass(eq=False)
class MethodError(Exception):
    """One method call that is refused, nothing of it done. `kind` is the RFC's word: invalidArguments, serverFail …"""

    kind: str
    description: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> JsonObject:
        told = {"description": self.description} if self.description else {}
        return {"type": self.kind, **told, **self.more}


class InvalidArguments(MethodError):
    """An argument is missing, of the wrong type, or not one that the method knows."""

    def __init__(self, description: str) -> None:
        super().__init__("invalidArguments", description)


@dataclass(eq=False)
class SetError(Exception):
    """One object of a /set, /copy or /import that is refused; the others go on. `kind`: notFound, invalidProperties …

    `properties` names those that are wrong; `more` holds what a kind brings along, such as existingId.
    """

    kind: str
    description: str = ""
    properties: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> JsonObject:
        told: JsonObject = {"type": self.kind}
        if self.description:
            told["description"] = self.description
        if self.properties:
            told["properties"] = list(self.properties)
        return {**told, **self.more}
