"""What the server can do, and tells (RFC 9051 §6.1.1, §7.2.2). What is not whole is not told."""

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.state import State

ALWAYS = (
    "IMAP4rev1",
    "IMAP4rev2",
    "LITERAL+",
    "SASL-IR",
    "ID",
    "ENABLE",
)
SIGNED_IN = (
    "IDLE",
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "CHILDREN",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "CONDSTORE",
    "QRESYNC",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "PARTIAL",
    "MULTIAPPEND",
    "BINARY",
    "REPLACE",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "UTF8=ACCEPT",
    "UNAUTHENTICATE",
    "COMPRESS=DEFLATE",
)


def capabilities(talk: Conversation) -> tuple[str, ...]:
    """What the client can use now; it differs before and after STARTTLS and signing in."""
    if talk.state is not State.NOT_AUTHENTICATED:
        limit = talk.append_limit_octets
        return ALWAYS + SIGNED_IN + (() if limit is None else (f"APPENDLIMIT={limit}",))
    if talk.is_encrypted:
        return (*ALWAYS, *(f"AUTH={name}" for name in talk.mechanisms))
    return (*ALWAYS, "STARTTLS", "LOGINDISABLED") if talk.can_encrypt else (*ALWAYS, "LOGINDISABLED")
