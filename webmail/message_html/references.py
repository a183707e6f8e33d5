"""What a message refers to, and what stands in its place: parts of its own, images elsewhere, links. Pure.

A URL is read as browsers do (URL Standard §4.4): control characters and spaces around it go, tabs and line ends within
it too. What is then neither of a few schemes with a plain host nor a part of this message stands for nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import quote, unquote

PartPath = tuple[int, ...]

LONGEST_URL = 4_096
MOST_IMAGES = 1_000
_AROUND = "".join(map(chr, range(33)))
_WITHIN = str.maketrans("", "", "\t\n\r")
_HOST = r"[^\x00-\x20\"'<>\\^`{|}/?#@:%\[\]]{1,253}"
_WEB = re.compile(
    rf"(?:(?P<scheme>https?):)?//(?:[^/?#@\\]{{0,200}}@)?(?P<host>{_HOST}|\[[0-9A-Fa-f:.]{{2,45}}\])"
    rf"(?P<port>:[0-9]{{0,5}})?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_MAIL = re.compile(r"mailto:.{1,2000}", re.IGNORECASE | re.DOTALL)
_TELEPHONE = re.compile(r"tel:[+0-9*#().\- ]{1,40}", re.IGNORECASE)
_CID = re.compile(r"cid:(.{1,998})", re.IGNORECASE | re.DOTALL)
_KEPT = "!#$%&()*+,-./:;=?@_~[]"


class RemoteImages(Enum):
    """Are images of elsewhere fetched, by our proxy?"""

    NONE = "none"
    PROXIED = "remote"


@dataclass(slots=True)
class References:
    """Of one part of a message. `part_url` and `remote_url` give the signed path of an image; `parts` says which
    content id is which part. What was met is counted."""

    parts: Mapping[str, PartPath]
    images: RemoteImages
    part_url: Callable[[PartPath], str]
    remote_url: Callable[[str], str]
    remote_images: int = 0
    parts_shown: set[PartPath] = field(default_factory=set)
    _remote: dict[str, str] = field(default_factory=dict)

    def image(self, written: str) -> str | None:
        """What an image's `src` becomes; None: it goes."""
        url = trimmed(written)
        cid = _CID.fullmatch(url)
        if cid is not None:
            return self._part(cid[1])
        target = web_url(url)
        if target is None:
            return None
        self.remote_images += 1
        if self.images is RemoteImages.NONE:
            return None
        if target not in self._remote:
            if len(self._remote) >= MOST_IMAGES:
                return None
            self._remote[target] = self.remote_url(target)
        return self._remote[target]

    def _part(self, cid: str) -> str | None:
        path = self.parts.get(cid) or self.parts.get(unquote(cid))
        if path is None:
            return None
        self.parts_shown.add(path)
        return self.part_url(path)


def trimmed(written: str) -> str:
    return written.strip(_AROUND).translate(_WITHIN)


def web_url(url: str) -> str | None:
    """An absolute URL of the web, written so that nothing in it ends an attribute; without user and password."""
    found = _WEB.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None or not any(character.isalnum() for character in found["host"]):
        return None
    scheme = (found["scheme"] or "https").lower()
    port = found["port"] or ""
    rest = quote(found["rest"] or "", safe=_KEPT, errors="replace")
    return f"{scheme}://{found['host']}{port if len(port) > 1 else ''}{rest}"


def link(written: str) -> str | None:
    """What the `href` of a link becomes, if it leads to the web, to a letter or a telephone; None: it goes."""
    url = trimmed(written)
    if _TELEPHONE.fullmatch(url):
        return url.lower()
    if _MAIL.fullmatch(url):
        return "mailto:" + quote(url[7:], safe=_KEPT, errors="replace")
    return web_url(url)
