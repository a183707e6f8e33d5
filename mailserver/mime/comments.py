"""Comments in structured header fields (RFC 5322 §3.2.2)."""

import re

_STOP = re.compile(r"[()\\]")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def comment_end(value: str, start: int) -> int:
    """The offset after the comment that opens at `start`, nested ones included, or -1 if it is never closed."""
    depth, position = 0, start
    while True:
        match = _STOP.search(value, position)
        if match is None:
            return -1
        position = match.end()
        if match[0] == "(":
            depth += 1
        elif match[0] == "\\":
            position += 1
        else:
            depth -= 1
            if depth == 0:
                return position


def comment_text(value: str, start: int, end: int) -> str:
    """What stands between the outer parentheses, quoted pairs resolved."""
    return _QUOTED_PAIR.sub(r"\1", value[start + 1 : end - 1]).strip()


def without_comments(value: str) -> str:
    """The value with every comment outside quoted strings replaced by a space. An unclosed one is left as it is."""
    kept, start, position = [], 0, 0
    while position < len(value):
        character = value[position]
        if character == "(":
            end = comment_end(value, position)
            if end < 0:
                break
            kept.append(value[start:position])
            start = position = end
        elif character == '"':
            position = _quoted_end(value, position)
        else:
            position += 2 if character == "\\" else 1
    kept.append(value[start:])
    return " ".join(kept)


_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?", re.DOTALL)


def _quoted_end(value: str, start: int) -> int:
    match = _QUOTED.match(value, start)
    return match.end() if match else start + 1
