"""Content-Type and Content-Disposition values (RFC 2045 §5.1, RFC 2183) with parameter continuations (RFC 2231 §3)."""

import re
from urllib.parse import quote

from mailserver.mime.comments import without_comments

# Names are at most 127 characters (RFC 6838 §4.2); longer ones are none.
_TYPE = re.compile(r"\s*([!#$%&'*+.^`|~\w-]{1,127})\s*/\s*([!#$%&'*+.^`|~\w-]{1,127})(?![\w-])", re.ASCII)
_TOKEN = re.compile(r"\s*([!#$%&'*+.^`|~\w/-]{1,127})", re.ASCII)
# An unterminated quoted string runs to the end, so that no start is tried twice.
_PARAMETER = re.compile(r";\s*([^\s=;\"]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;]*))", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CONTINUED = re.compile(r"(.+?)\*(\d{1,4})(\*?)", re.DOTALL)
_WITH_SPACES = frozenset({"name", "filename"})

Parameters = dict[str, str]


def parse_content_type(value: str, limit: int) -> tuple[str, str, Parameters] | None:
    """Type and subtype in lower case and at most `limit` parameters, or None if the value is no media type.

    `text; charset=…` and `multipart; boundary=…` lack a subtype but their meaning is plain, so they get the usual one.
    """
    if "(" in value:
        value = without_comments(value)
    match = _TYPE.match(value)
    if match is not None:
        return match[1].lower(), match[2].lower(), _parameters(value, match.end(), limit)
    head = value.partition(";")[0].strip().lower()
    if head == "text":
        return "text", "plain", _parameters(value, 0, limit)
    if head == "multipart":
        return "multipart", "mixed", _parameters(value, 0, limit)
    return None


def parse_disposition(value: str, limit: int) -> tuple[str, Parameters] | None:
    """Disposition type in lower case with its parameters, or None if there is none (RFC 2183 §2)."""
    if "(" in value:
        value = without_comments(value)
    match = _TOKEN.match(value)
    if match is None:
        return None
    return match[1].lower(), _parameters(value, match.end(), limit)


def first_token(value: str) -> str:
    """The leading token in lower case, without comments: a Content-Transfer-Encoding. Empty if there is none."""
    if "(" in value:
        value = without_comments(value)
    match = _TOKEN.match(value)
    return match[1].lower() if match else ""


def _parameters(value: str, position: int, limit: int) -> Parameters:
    parameters: Parameters = {}
    has_star = False
    for match in _PARAMETER.finditer(value, position):
        name, quoted, bare = match.groups()
        name = name.lower()
        if quoted is not None:
            text = _QUOTED_PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted
        else:
            text = bare.strip()
            if name not in _WITH_SPACES:
                text = text.split(None, 1)[0] if text else ""
        if name not in parameters:
            if len(parameters) >= limit:
                break
            parameters[name] = text
            has_star = has_star or "*" in name
    return _join_continuations(parameters) if has_star else parameters


def _join_continuations(parameters: Parameters) -> Parameters:
    """`name*0`, `name*1*`, … become one `name`, or one `name*` in extended notation if any piece is extended."""
    joined: Parameters = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, value in parameters.items():
        match = _CONTINUED.fullmatch(name)
        if match is None:
            joined[name] = value
        else:
            pieces.setdefault(match[1], {})[int(match[2])] = (value, match[3] == "*")
            joined.setdefault(match[1] + "*0", "")
    for name, numbered in pieces.items():
        del joined[name + "*0"]
        run: list[tuple[str, bool]] = []
        while len(run) in numbered:
            run.append(numbered[len(run)])
        if not run:
            run = [numbered[n] for n in sorted(numbered)]
        if any(is_extended for _, is_extended in run):
            charset = "" if run[0][1] else "''"
            text = "".join(value if is_extended else quote(value, safe="") for value, is_extended in run)
            joined.setdefault(name + "*", charset + text)
        else:
            joined.setdefault(name, "".join(value for value, _ in run))
    return joined
