"""Mailbox names as names of files (pure).

Maildir++ parts levels with "." and writes other scripts in modified UTF-7 (RFC 3501 §5.1.3), as Dovecot and Courier
do; a "." or "/" within a level is written as Courier does, in base64 (`&AC4-`). For mbox files and directories of
letters levels are parted with "." too, other scripts are UTF-8, and what would be misunderstood is percent-encoded.
"""

import binascii
import hashlib
import re
from urllib.parse import unquote_to_bytes

LONGEST_OCTETS = 200  # of a file name: 255 less what is put before and after
_IN_BASE64 = re.compile("[^ -~]+|[./&]")
_PERCENT = re.compile(r"[%/.\x00-\x1f\x7f\\:]|^[~ -]| $")
_RUN = re.compile(rb"&([A-Za-z0-9+,]*)-")


def maildir_folder(name: str) -> str | None:
    """The directory `.Level.Level` of a mailbox, "" for INBOX; None: the name is too long to be one."""
    if name == "INBOX":
        return ""
    folder = "".join("." + _IN_BASE64.sub(_encoded, level) for level in name.split("/"))
    return folder if len(folder) <= LONGEST_OCTETS else None


def from_maildir_folder(folder: str) -> str:
    """The mailbox of `.Level.Level`, in modified UTF-7 or in UTF-8; a name that is neither is taken as it stands."""
    return "/".join(_decoded(level) for level in folder.removeprefix(".").split("."))


def file_name(name: str) -> str:
    """A name for the file or directory of a mailbox. One that is long ends in a digest, and only the listing beside it
    tells the whole."""
    plain = ".".join(_PERCENT.sub(_percent, level) for level in name.split("/"))
    octets = plain.encode("utf-8", "replace")
    if len(octets) <= LONGEST_OCTETS:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
    return octets[: LONGEST_OCTETS - 20].decode("utf-8", "ignore") + "~" + digest


def from_file_name(stem: str) -> str:
    levels = stem.split(".")
    return "/".join(unquote_to_bytes(level).decode("utf-8", "replace") for level in levels if level) or stem


def _percent(found: "re.Match[str]") -> str:
    return "".join(f"%{octet:02X}" for octet in found[0].encode())


def _encoded(found: "re.Match[str]") -> str:
    if found[0] == "&":
        return "&-"
    run = binascii.b2a_base64(found[0].encode("utf-16-be", "surrogatepass"), newline=False)
    return "&" + run.rstrip(b"=").replace(b"/", b",").decode() + "-"


def _decoded(level: str) -> str:
    if not level.isascii():
        return level
    try:
        return _RUN.sub(_run, level.encode()).decode()
    except ValueError:
        return level


def _run(found: "re.Match[bytes]") -> bytes:
    if not found[1]:
        return b"&"
    encoded = found[1].replace(b",", b"/")
    return binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4)).decode("utf-16-be").encode()
