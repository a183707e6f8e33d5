"""The non-extensible BODY form, derived from the stored BODYSTRUCTURE alone (RFC 3501 §7.4.2)."""

import re

# One token of what `bodystructure` writes: a parenthesis, a quoted string, the head of a literal, or an atom.
_TOKEN = re.compile(rb" *(?:(\()|(\))|(\"(?:[^\"\\]|\\.)*+\")|\{(\d+)\}\r\n|([^ ()\"{]+))", re.DOTALL)
_BASIC_FIELDS = 7
_UNDECIDED, _MULTIPART, _SINGLE, _LIST = range(4)


class _Frame:
    """An open parenthesis: of a multipart, of a single part, or of any list inside them."""

    __slots__ = ("is_copied", "kept", "kind", "members", "type")

    def __init__(self, kind: int, is_copied: bool) -> None:
        self.kind = kind
        self.is_copied = is_copied
        self.members = 0
        self.kept = _BASIC_FIELDS
        self.type = b""


def body(bodystructure: bytes) -> bytes:
    """Copy a bodystructure without its extension data. Takes what `bodystructure` wrote."""
    out = bytearray()
    frames: list[_Frame] = []
    position = 0
    while position < len(bodystructure):
        match = _TOKEN.match(bodystructure, position)
        if match is None:
            raise ValueError("not a bodystructure")
        start, end = match.span()
        if match[4] is not None:
            end += int(match[4])
        position = end
        if match[2]:
            frame = frames.pop()
            if frame.is_copied:
                out += b")"
            continue
        is_list = match[1] is not None
        is_copied = True
        kind = _UNDECIDED
        if frames:
            parent = frames[-1]
            is_copied = _is_member_copied(parent, is_list, bodystructure[start:end])
            kind = _kind_of_member(parent)
        if is_copied:
            out += bodystructure[start:end]
        if is_list:
            frames.append(_Frame(kind, is_copied))
    return bytes(out)


def _is_member_copied(frame: _Frame, is_list: bool, token: bytes) -> bool:
    """Count the next member of `frame` and say whether BODY has it too."""
    frame.members += 1
    if not frame.is_copied:
        return False
    if frame.kind == _LIST:
        return True
    if frame.kind == _UNDECIDED:
        frame.kind = _MULTIPART if is_list else _SINGLE
    if frame.kind == _MULTIPART:
        if is_list:
            return frame.kept == _BASIC_FIELDS
        frame.kept -= 1  # the subtype is the first member that is no list
        return frame.kept == _BASIC_FIELDS - 1
    if frame.members == 1:
        frame.type = token.lower()
    elif frame.members == 2:
        if frame.type == b'"text"':
            frame.kept = _BASIC_FIELDS + 1
        elif frame.type == b'"message"' and token.strip().lower() == b'"rfc822"':
            frame.kept = _BASIC_FIELDS + 3
    elif frame.members == _BASIC_FIELDS + 1 and is_list:
        frame.kept = (
            _BASIC_FIELDS + 3
        )  # the envelope of a message/global; where it is a part as any other, an MD5 stands
    return frame.members <= frame.kept


def _kind_of_member(frame: _Frame) -> int:
    if frame.kind == _MULTIPART or (frame.kind == _SINGLE and frame.kept > 8 and frame.members == _BASIC_FIELDS + 2):
        return _UNDECIDED
    return _LIST
