"""The MIME index that a message row keeps: parts packed into few octets, and back.

Format 1: the octet 1, then the parts in the order of the message. Each is a run of variable-length numbers (7 bits an
octet, lowest first) and texts (their length, then UTF-8). Frequent texts are a number: see `_WORDS`, which may only
ever be added to at its end.
"""

from mailserver.mime.parameters import Parameters
from mailserver.mime.part import Part

_FORMAT = 1
_WORDS = (
    "text", "plain", "html", "multipart", "mixed", "alternative", "related", "signed", "report", "message", "rfc822",
    "application", "octet-stream", "pdf", "image", "jpeg", "png", "gif", "delivery-status", "calendar", "zip",
    "7bit", "8bit", "binary", "base64", "quoted-printable", "inline", "attachment",
    "charset", "boundary", "name", "filename", "name*", "filename*", "format", "flowed", "type", "size",
    "delsp", "micalg", "us-ascii", "utf-8", "UTF-8", "iso-8859-1", "gb2312", "gb18030", "gbk", "GBK",
    "big5", "iso-2022-jp", "yes", "text/html", "US-ASCII", "protocol", "creation-date", "modification-date",
    "method", "report-type",
)  # fmt: skip
_NUMBERS = {word: number for number, word in enumerate(_WORDS)}


def pack(part: Part) -> bytes:
    """The index of a part and all within it."""
    out = bytearray([_FORMAT])
    position = 0
    for each in part.walk():
        flags = (each.disposition is not None) | (each.content_id is not None) << 1
        _put(out, len(each.children) << 2 | flags)
        shift = each.header_offset - position  # forward nearly always
        _put(out, shift << 1 if shift >= 0 else -shift << 1 | 1)
        _put(out, each.header_octets)
        shift = each.body_offset - each.header_offset - each.header_octets
        _put(out, shift << 1 if shift >= 0 else -shift << 1 | 1)
        _put(out, each.body_octets)
        _put(out, each.lines)
        position = each.body_offset if each.children else each.body_offset + each.body_octets
        for text in (each.type, each.subtype, each.encoding):
            _put_text(out, text)
        _put_parameters(out, each.parameters)
        if each.disposition is not None:
            _put_text(out, each.disposition)
            _put_parameters(out, each.disposition_parameters)
        if each.content_id is not None:
            _put_text(out, each.content_id)
    return bytes(out)


def unpack(packed: bytes) -> Part:
    """Raises ValueError if this is not what `pack` made."""
    if not packed or packed[0] != _FORMAT:
        raise ValueError("not a MIME index of a known format")
    reader = _Reader(packed)
    try:
        root, children = reader.part(0)
        waiting = [(root, children)]
        position = reader.position_after
        while waiting:
            parent, missing = waiting.pop()
            if not missing:
                continue
            waiting.append((parent, missing - 1))
            child, children = reader.part(position)
            position = reader.position_after
            parent.children.append(child)
            waiting.append((child, children))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("damaged MIME index") from error
    return root


def _put(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _put_text(out: bytearray, text: str) -> None:
    number = _NUMBERS.get(text)
    if number is not None:
        _put(out, number << 1 | 1)
        return
    octets = text.encode("utf-8", "surrogatepass")
    _put(out, len(octets) << 1)
    out += octets


def _put_parameters(out: bytearray, parameters: Parameters) -> None:
    _put(out, len(parameters))
    for name, value in parameters.items():
        _put_text(out, name)
        _put_text(out, value)


class _Reader:
    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 1
        self.position_after = 0

    def part(self, position: int) -> tuple[Part, int]:
        """The next part, whose offset counts from `position`, and how many children follow."""
        head = self._number()
        part = Part()
        part.header_offset = position + self._signed()
        part.header_octets = self._number()
        part.body_offset = part.header_offset + part.header_octets + self._signed()
        part.body_octets = self._number()
        part.lines = self._number()
        part.type, part.subtype, part.encoding = self._text(), self._text(), self._text()
        part.parameters = self._parameters()
        if head & 1:
            part.disposition = self._text()
            part.disposition_parameters = self._parameters()
        if head & 2:
            part.content_id = self._text()
        children = head >> 2
        self.position_after = part.body_offset if children else part.body_offset + part.body_octets
        return part, children

    def _number(self) -> int:
        number = shift = 0
        while True:
            octet = self._packed[self._at]
            self._at += 1
            number |= (octet & 127) << shift
            if octet < 128:
                return number
            shift += 7

    def _signed(self) -> int:
        number = self._number()
        return -(number >> 1) if number & 1 else number >> 1

    def _text(self) -> str:
        number = self._number()
        if number & 1:
            return _WORDS[number >> 1]
        end = self._at + (number >> 1)
        if end > len(self._packed):
            raise IndexError(end)
        text = self._packed[self._at : end].decode("utf-8", "surrogatepass")
        self._at = end
        return text

    def _parameters(self) -> Parameters:
        return {self._text(): self._text() for _ in range(self._number())}
