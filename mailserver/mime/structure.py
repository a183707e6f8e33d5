"""The parts of a message: where each one's header and body lie (RFC 2045, RFC 2046 §5.1).

The scan jumps from delimiter line to delimiter line. For every open multipart it knows where its next delimiter stands;
inside, the search goes no further than the next delimiter of the multipart around it, for an outer delimiter ends all
that is within (RFC 2046 §5.1.2). So each octet is searched at most once a level of nesting, and levels are limited.

Rules where messages leave the RFCs:
* A line that merely begins with a delimiter is one (RFC 2046 §5.1.1); among several that fit, the longest, then the
  innermost, wins.
* A header section ends at the first empty line or where its part ends. Lines without a colon do not end it.
* Every multipart has at least one part: if its delimiter never comes (or it names no boundary), its whole body is one
  text/plain part, so that people see what was sent.
* Past a limit nothing fails: a part nested too deep is application/octet-stream, and after the last allowed part no
  further delimiters are looked for.
"""

from dataclasses import dataclass
from mmap import mmap

from mailserver.mime.fields import Fields, parse_fields
from mailserver.mime.octets import Octets, searchable
from mailserver.mime.packing import pack as pack  # the other half of the interface to a structure
from mailserver.mime.packing import unpack as unpack
from mailserver.mime.parameters import first_token, parse_content_type, parse_disposition
from mailserver.mime.part import Part


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """What a scan is willing to look at. `header_octets` bounds what is parsed of a header section, not its range."""

    depth: int = 50
    parts: int = 10_000
    header_octets: int = 262_144
    parameters: int = 100
    boundary_octets: int = 1_000


DEFAULT_LIMITS = ScanLimits()


@dataclass(slots=True, eq=False)
class _Multipart:
    """An open multipart whose delimiters are still looked for. `hit` is the line feed before the next one, or -1."""

    delimiter: bytes
    hit: int
    depth: int  # its place among the open parts
    default: tuple[str, str]


_TEXT = ("text", "plain")
_MESSAGE = ("message", "rfc822")
_NESTABLE_MESSAGES = frozenset({"rfc822", "global"})


def scan(octets: bytes | mmap, limits: ScanLimits = DEFAULT_LIMITS) -> Part:
    """Find all parts. Never raises, whatever the octets."""
    return _Scan(searchable(octets), len(octets), limits).run()


class _Scan:
    def __init__(self, source: Octets, end: int, limits: ScanLimits) -> None:
        self.source = source
        self.end = end
        self.limits = limits
        self.parts = 0
        self.open: list[Part] = []  # from the root to the part being read
        self.searching: list[_Multipart] = []  # those of them with a delimiter to look for, outermost first

    def run(self) -> Part:
        root = self._enter(0, _TEXT)
        while self.searching:
            found = self._next_hit()
            if found is None:
                break
            self._pass_delimiter(found)
        self._close(0, self.end)
        return root

    def _next_hit(self) -> _Multipart | None:
        """The multipart whose delimiter comes next. Those inside it are over."""
        searching = self.searching
        while searching and searching[-1].hit < 0:
            searching.pop()
        if not searching:
            return None
        best = searching[-1]
        for outer in reversed(searching[:-1]):
            if outer.hit < 0:
                continue
            if outer.hit != best.hit:
                break
            if len(outer.delimiter) > len(best.delimiter):
                best = outer
        return best

    def _pass_delimiter(self, level: _Multipart) -> None:
        source, searching = self.source, self.searching
        hit = level.hit
        while searching[-1] is not level:
            searching.pop()
        self._close(level.depth + 1, self._before_line_break(hit))
        after = hit + len(level.delimiter)
        line_end = source.find(b"\n", after, self.end)
        if line_end < 0:
            line_end = self.end
        if source[after : after + 2] == b"--" or line_end == self.end:
            searching.pop()
            self._look_further(hit, line_end)
        else:
            self._look_further(hit, line_end)
            if self.parts < self.limits.parts:
                self._enter(line_end + 1, level.default)
            else:
                searching.clear()

    def _look_further(self, hit: int, position: int) -> None:
        """Search again for those whose next delimiter was at `hit`, and those whom that kept from looking further."""
        nearest: _Multipart | None = None
        has_moved = False
        for level in self.searching:
            if level.hit == hit or (has_moved and level.hit < 0):
                level.hit = self._find(level.delimiter, position, nearest)
                has_moved = True
            if level.hit >= 0:
                nearest = level

    def _find(self, delimiter: bytes, position: int, around: _Multipart | None) -> int:
        """The next delimiter from `position` on, if it comes before the next one of the multipart around, or is it."""
        if around is None:
            return self.source.find(delimiter, position, self.end)
        if around.delimiter == delimiter:
            return around.hit
        return self.source.find(delimiter, position, min(around.hit + len(delimiter), self.end))

    def _nearest(self) -> _Multipart | None:
        """The innermost multipart that has a delimiter to come."""
        return next((level for level in reversed(self.searching) if level.hit >= 0), None)

    def _before_line_break(self, line_feed: int) -> int:
        """Where content ends that a line break at `line_feed` follows: the break belongs to the delimiter."""
        return line_feed - 1 if line_feed > 0 and self.source[line_feed - 1 : line_feed] == b"\r" else line_feed

    def _enter(self, start: int, default: tuple[str, str]) -> Part:
        """Read the header that begins at `start`, and those of messages directly within; returns the outer part."""
        first: Part | None = None
        nearest = self._nearest()
        end = self.end if nearest is None else self._before_line_break(nearest.hit)
        while True:
            part = self._read_header(min(start, end), end, default)
            self.parts += 1
            if self.open:
                self.open[-1].children.append(part)
            self.open.append(part)
            if first is None:
                first = part
            if part.type == "multipart":
                if len(self.open) > self.limits.depth:
                    part.type, part.subtype = "application", "octet-stream"
                else:
                    self._look_for_parts(part)
                return first
            if part.type != "message" or part.subtype not in _NESTABLE_MESSAGES:
                return first
            if len(self.open) > self.limits.depth or self.parts >= self.limits.parts:
                part.type, part.subtype = "application", "octet-stream"
                return first
            start, default = part.body_offset, _TEXT

    def _look_for_parts(self, part: Part) -> None:
        boundary = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
        if not boundary or len(boundary) > self.limits.boundary_octets or part.body_offset == 0:
            return
        delimiter = b"\n--" + boundary
        hit = self._find(delimiter, part.body_offset - 1, self._nearest())
        if hit >= part.body_offset:
            self._give_back_empty_line(part, hit + 1)
        default = _MESSAGE if part.subtype == "digest" else _TEXT
        self.searching.append(_Multipart(delimiter, hit, len(self.open) - 1, default))

    def _give_back_empty_line(self, part: Part, end: int) -> None:
        """Close the header with the line break before a delimiter that looked like one of the part around."""
        body = header_end(self.source, part.header_offset, end)
        part.header_octets, part.body_offset = body - part.header_offset, body

    def _read_header(self, start: int, end: int, default: tuple[str, str]) -> Part:
        body = header_end(self.source, start, end)
        parsed_end = min(body, start + self.limits.header_octets)
        fields = parse_fields(self.source[start:parsed_end])
        part = Part(header_offset=start, header_octets=body - start, body_offset=body, fields=fields)
        describe_content(part, fields, default, self.limits.parameters)
        return part

    def _close(self, depth: int, end: int) -> None:
        """End the open parts from `depth` on: their bodies reach to `end`."""
        source = self.source
        for part in reversed(self.open[depth:]):
            start = part.body_offset
            part.body_octets = max(end - start, 0)
            if part.type == "text" or part.type == "message":
                part.lines = source.count(b"\n", start, start + part.body_octets)
            elif part.type == "multipart" and not part.children:
                lines = source.count(b"\n", start, start + part.body_octets)
                part.children.append(
                    Part(header_offset=start, body_offset=start, body_octets=part.body_octets, lines=lines, fields={})
                )
        del self.open[depth:]


def header_end(source: Octets, start: int, end: int) -> int:
    """The offset just after the empty line that closes the header section at `start`, or `end` if none does."""
    beginning = source[start : min(start + 2, end)]
    if beginning == b"\r\n":
        return start + 2
    if beginning[:1] == b"\n":
        return start + 1
    crlf = source.find(b"\n\r\n", start, end)
    bare = source.find(b"\n\n", start, end if crlf < 0 else crlf)
    if bare >= 0:
        return bare + 2
    return end if crlf < 0 else crlf + 3


def describe_content(part: Part, fields: Fields, default: tuple[str, str], limit: int) -> None:
    """Fill in what the MIME fields say, with the defaults of RFC 2045 §5.2 and §6.1 and RFC 2046 §5.1.5."""
    value = fields.get("content-type")
    parsed = parse_content_type(value, limit) if value else None
    if parsed is not None:
        part.type, part.subtype, part.parameters = parsed
    elif value is None:
        part.type, part.subtype = default
    value = fields.get("content-transfer-encoding")
    if value:
        part.encoding = first_token(value) or "7bit"
    value = fields.get("content-disposition")
    if value:
        disposition = parse_disposition(value, limit)
        if disposition is not None:
            part.disposition, part.disposition_parameters = disposition
    part.content_id = fields.get("content-id")
