"""One part of a message: where it lies and what its MIME fields say (RFC 2045 §2.4)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailserver.mime.fields import Fields
from mailserver.mime.header import display, extended_value
from mailserver.mime.parameters import Parameters


@dataclass(slots=True)
class Part:
    """One entity. Offsets are absolute in the message; `header_octets` includes the empty line that closes the header.

    `lines` counts line feeds of the body, for text and message parts only (others: 0). Parameter values are text:
    undeclared octets decoded, continuations joined; `name*` values keep their extended notation (see `filename`).
    A multipart has its parts as `children`; message/rfc822 and message/global have one, the root of the inner message.
    """

    type: str = "text"
    subtype: str = "plain"
    parameters: Parameters = field(default_factory=dict)
    encoding: str = "7bit"
    disposition: str | None = None
    disposition_parameters: Parameters = field(default_factory=dict)
    content_id: str | None = None
    header_offset: int = 0
    header_octets: int = 0
    body_offset: int = 0
    body_octets: int = 0
    lines: int = 0
    children: list["Part"] = field(default_factory=list)
    fields: Fields | None = field(default=None, repr=False, compare=False)  # while the scan's result is fresh

    @property
    def content_type(self) -> str:
        return f"{self.type}/{self.subtype}"

    @property
    def filename(self) -> str | None:
        """The name the sender gave, as people read it: from the disposition, else from the type (RFC 2183 §2.3)."""
        for parameters, name in ((self.disposition_parameters, "filename"), (self.parameters, "name")):
            if extended := parameters.get(name + "*"):
                return extended_value(extended)
            if plain := parameters.get(name):
                return display(plain)
        return None

    def with_body(self, offset: int, octets: int) -> "Part":
        """The same leaf where its body, or the beginning of it, lies there: in octets that were read by themselves."""
        return Part(
            type=self.type,
            subtype=self.subtype,
            parameters=self.parameters,
            encoding=self.encoding,
            body_offset=offset,
            body_octets=octets,
        )

    def walk(self) -> Iterator["Part"]:
        """This part and all within it, in the order of the message."""
        pending = [self]
        while pending:
            part = pending.pop()
            yield part
            pending.extend(reversed(part.children))
