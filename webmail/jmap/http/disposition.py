"""Content-Disposition of a download (RFC 6266): a file to be saved, under a name that may be written anywhere."""

import re
from urllib.parse import quote

_LONGEST = 255
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff/\\]")
_NOT_PLAIN = re.compile(r'[^\x20-\x7e]|["%;]')


def attachment(name: str) -> str:
    """Both forms of the name: the plain one for programs that know no other (RFC 6266 §4.3, appendix D)."""
    safe = _UNSAFE.sub("_", name)[:_LONGEST].strip(". ") or "download"
    plain = _NOT_PLAIN.sub("_", safe)
    if plain == safe:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"
