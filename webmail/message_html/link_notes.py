"""Links whose text names one site while they lead to another: the true one is written behind them. Pure.

For HTML that the sanitiser wrote: well formed, every attribute in double quotes.
"""

import re
from html import escape, unescape
from urllib.parse import urlsplit

_LINK = re.compile(r"<a(?P<attributes>(?: [^\s=>]+=\"[^\"]*\")*+)>(?P<content>.*?)</a>", re.DOTALL)
_HREF = re.compile(r" href=\"([^\"]*)\"")
_TARGET = re.compile(r" target=\"_blank\"")
_TAG = re.compile(r"<[^>]*>")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_NAMED_SITE = re.compile(
    r"(?:(?:https?|ftp):/{1,3}|www\.)?(?:[^\s/@]{1,200}@)?((?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24})\.?(?::\d{1,5})?(?:[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_FILES = (
    "pdf doc docx xls xlsx ppt pptx odt ods txt csv rtf zip rar gz tar jpg jpeg png gif webp svg html htm xml json md "
    "py js css mp3 mp4 mov avi eml ics vcf exe msi apk dmg"
)
_NAMES_OF_FILES = re.compile(rf"[^/:@]*\.(?:{'|'.join(_FILES.split())})", re.IGNORECASE)
_NOTE = ' <span class="waypost-elsewhere" title="{title}">&#9888; {host}</span>'
_LONGEST_TEXT = 2_000


def with_notes(html: str) -> str:
    """Links within the message open no window of their own."""
    return _LINK.sub(_noted, html)


def _noted(found: re.Match[str]) -> str:
    href = _HREF.search(found["attributes"])
    if href is None:
        return found[0]
    if href[1].startswith("#"):
        return f"<a{_TARGET.sub('', found['attributes'])}>{found['content']}</a>"
    target = _host(unescape(href[1]))
    if target is None or len(found["content"]) > _LONGEST_TEXT:
        return found[0]
    named = _named_site(found["content"])
    if named is None or _is_same_site(named, target):
        return found[0]
    return found[0] + _NOTE.format(title=href[1], host=escape(target))


def _named_site(content: str) -> str | None:
    """The site that the text of a link seems to be the address of."""
    text = _INVISIBLE.sub("", unescape(_TAG.sub("", content))).strip()
    if _NAMES_OF_FILES.fullmatch(text) and not text.lower().startswith("www."):
        return None
    found = _NAMED_SITE.fullmatch(text)
    return None if found is None else found[1].lower()


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        return None


def _is_same_site(named: str, target: str) -> bool:
    """One within the other, but for what stands before a well-known name: mail.example and www.mail.example."""
    named, target = (_in_ascii(host.rstrip(".")).removeprefix("www.") for host in (named, target))
    return named == target or target.endswith("." + named) or named.endswith("." + target)


def _in_ascii(host: str) -> str:
    """The A-labels of a host with letters of the world (RFC 5890)."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host
