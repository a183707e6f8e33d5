"""The text of HTML mail as a person reads it: markup gone, entities undone, blocks on lines of their own.

Parsed as browsers do (Lexbor). Its time grows with the square of the depth, which a sender chooses, so what has very
many elements is read by patterns instead, in one pass.
"""

import re
from html import unescape

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

PARSED_ELEMENTS = 3_000
"""All of them nested take a tenth of a second."""

_BLOCK = re.compile(
    r"<(?=/?(?:p|div|br|td|th|tr|li|h[1-6]|table|ul|ol|dl|dt|dd|blockquote|pre|hr|option|section|article|header|"
    r"footer|center|address|figure|figcaption|caption|title)\b)",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<[a-zA-Z]")
_UNSHOWN_TAGS = ["style", "script", "title", "template", "noscript", "head"]
_UNSHOWN = re.compile(
    r"<(style|script|head|title|template)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL
)
_BLOCK_TAG = re.compile(r"\n<[^<>]*>?")
_TAG = re.compile(r"<[/!?a-zA-Z][^<>]*>?")


def html_text(html: str) -> str:
    """Never raises. Line feeds part blocks, and may come several in a row."""
    marked = _BLOCK.sub("\n<", html)
    if sum(1 for _ in _ELEMENT.finditer(marked)) > PARSED_ELEMENTS:
        return _by_patterns(marked)
    try:
        parser = LexborHTMLParser(marked)
        parser.strip_tags(_UNSHOWN_TAGS)
        root = parser.root
        return root.text(separator="") if root is not None else ""
    except (SelectolaxError, ValueError):  # what it cannot parse at all
        return _by_patterns(marked)


def _by_patterns(marked: str) -> str:
    text = _TAG.sub("", _BLOCK_TAG.sub("\n", _UNSHOWN.sub("\n", marked)))
    return unescape(text) if "&" in text else text
