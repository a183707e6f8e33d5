"""Message octets as DATA carries them: dots doubled, every line end CRLF, and the end (RFC 5321 §4.5.2, §2.3.8).

A bare CR or LF never leaves: what one host takes for text another takes for a line end, and behind it for commands
(SMTP smuggling). Mail that came in by our doors has none, so the fast way is to count and to copy nothing.
"""

import re

_ODD_LINE_END = re.compile(rb"\r\n|\r|\n")


class ContentWriter:
    """Give it the message in pieces of any size; how they are cut never matters."""

    __slots__ = ("_held_cr", "_is_at_line_start")

    def __init__(self) -> None:
        self._held_cr = False  # the last piece ended in CR, which is not sent until its LF is seen
        self._is_at_line_start = True

    def encode(self, piece: bytes) -> bytes:
        if self._held_cr:
            piece = b"\r" + piece
            self._held_cr = False
        if piece.endswith(b"\r"):
            piece = piece[:-1]
            self._held_cr = True
        if not piece:
            return b""
        line_ends = piece.count(b"\n")
        if piece.count(b"\r\n") != line_ends or piece.count(b"\r") != line_ends:
            piece = _ODD_LINE_END.sub(b"\r\n", piece)
        if b"\n." in piece:
            piece = piece.replace(b"\n.", b"\n..")
        if self._is_at_line_start and piece.startswith(b"."):
            piece = b"." + piece
        self._is_at_line_start = piece.endswith(b"\n")
        return piece

    def end(self) -> bytes:
        """The end of data; a last line without end is given one."""
        return b".\r\n" if self._is_at_line_start and not self._held_cr else b"\r\n.\r\n"
