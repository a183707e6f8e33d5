"""Sessions of browsers: an opaque token of 256 random bits in a cookie, of which only a digest is kept.

A session ends when it was not used for IDLE_S, LASTS_S after it began, when it is ended here, or with everything else
the person has open (`endings`). The directory is asked at every request, so the end counts at once. The token is
changed whenever the person shows who they are, so that one from before is worth nothing. It is bound to nothing that
changes as people move: neither address nor browser.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mailserver.services.audit import note_act
from mailserver.services.endings import Endings, demand_signed_in
from mailserver.services.sign_in_errors import SessionEnded
from storage.database import Database
from storage.query import Connection
from storage.sign_in_ends import end_sign_ins
from storage.web_sessions import (
    FoundSession,
    ListedSession,
    delete_other_sessions,
    delete_session,
    find_session,
    insert_session,
    list_sessions,
    verify_session,
)
from tenants.types import Principal

IDLE_S = 14 * 86_400
LASTS_S = 60 * 86_400
CODE_WITHIN_S = 600  # how long the second factor may take
FRESH_FOR = timedelta(minutes=15)  # how long one who has shown who they are may change how they sign in
TOKEN_OCTETS = 32
_TOKEN_CHARACTERS = 43


class WebSessions:
    """One per process."""

    def __init__(self, database: Database, endings: Endings) -> None:
        self._database = database
        self._endings = endings

    async def principal(self, cookie: str, *, network: str) -> Principal | None:
        """Whose open session it is; None for no session that is good. Raises StoreUnavailable."""
        found = await self.find(cookie, network=network)
        return found.who if found is not None and found.is_open else None

    async def find(self, cookie: str, *, network: str) -> FoundSession | None:
        """The session, which may still lack the second factor. Raises StoreUnavailable."""
        if len(cookie) != _TOKEN_CHARACTERS or not cookie.isascii():
            return None
        async with self._database.directory() as connection:
            return await find_session(connection, _digest(cookie), network=network, idle_s=IDLE_S)

    async def begin(self, who: Principal, *, is_open: bool, network: str, client: str) -> str:
        """A new session's token. Raises SessionEnded when the person was signed out of everything since they showed
        who they are, StoreUnavailable."""
        token, digest = new_token()
        async with self._database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            session_id = await insert_session(
                connection,
                who,
                digest,
                is_open=is_open,
                lasts_s=LASTS_S if is_open else CODE_WITHIN_S,
                idle_s=IDLE_S,
                network=network,
                client=client,
            )
        if is_open:
            note_act(who, "signed in to the web", network=network, session=session_id)
        return token

    async def complete(self, session: FoundSession, *, network: str, client: str) -> str:
        """The second factor has come: a whole session in place of the one that lacked it. Raises as `begin`."""
        token = await self.begin(session.who, is_open=True, network=network, client=client)
        await self._delete(session)
        return token

    async def verified(self, session: FoundSession, *, network: str) -> str:
        """The person has shown again who they are: another token. Raises SessionEnded, StoreUnavailable."""
        token, digest = new_token()
        async with self._database.transaction(session.who.tenant_id) as connection:
            if not await verify_session(connection, session.who, session.id, digest):
                raise SessionEnded
        note_act(session.who, "confirmed who they are", network=network, session=session.id)
        return token

    async def list(self, who: Principal) -> Sequence[ListedSession]:
        """Raises StoreUnavailable."""
        async with self._database.read(who.tenant_id) as connection:
            return await list_sessions(connection, who, idle_s=IDLE_S)

    async def sign_out(self, session: FoundSession, *, network: str) -> None:
        """This one only; what else the person has open stays."""
        await self._delete(session)
        note_act(session.who, "signed out of the web", network=network, session=session.id)

    async def end(self, who: Principal, session_id: int, *, network: str) -> None:
        """Another session of the person, and the mail connections with it: whoever had the one may have the other."""
        async with self._database.transaction(who.tenant_id) as connection:
            epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
            was_there = await delete_session(connection, who, session_id)
        self._endings.ended(who.account_id, epoch)
        note_act(who, "ended a web session", network=network, session=session_id, was_there=was_there)

    async def end_others(self, session: FoundSession, *, network: str) -> None:
        """Everything the person has open, but this session."""
        who = session.who
        async with self._database.transaction(who.tenant_id) as connection:
            epoch = await end_everything_else(connection, session)
        self._endings.ended(who.account_id, epoch)
        note_act(who, "ended everything else", network=network, session=session.id)

    async def _delete(self, session: FoundSession) -> None:
        async with self._database.transaction(session.who.tenant_id) as connection:
            await delete_session(connection, session.who, session.id)


async def end_everything_else(connection: Connection, session: FoundSession) -> int:
    """Everything the person has open, but this session; what follows in its transaction is part of it. Returns the
    epoch that begins."""
    who = session.who
    epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)  # first: who is just signing in is done then
    await delete_other_sessions(connection, who, session.id)
    return epoch


def is_fresh(session: FoundSession, now: datetime | None = None) -> bool:
    """Whether the person has shown lately who they are."""
    return (now or datetime.now(UTC)) - session.verified_at < FRESH_FOR


def new_token() -> tuple[str, bytes]:
    """And what is kept of it."""
    token = secrets.token_urlsafe(TOKEN_OCTETS)
    return token, _digest(token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
