"""What people do to their own passwords: change it, and make and revoke app passwords."""

import asyncio
from collections.abc import Collection, Sequence

from mailserver.services.audit import note_act
from mailserver.services.endings import Endings, demand_signed_in
from mailserver.services.login import Logins
from mailserver.services.sign_in_errors import FactorMissing, SessionEnded, TooMany
from mailserver.services.web_sessions import new_token
from storage.database import Database
from storage.own_credentials import (
    ListedAppPassword,
    Standing,
    change_password,
    delete_app_password,
    insert_app_password,
    keep_for_scram,
    list_app_passwords,
    salting_of,
    standing_of,
)
from storage.sign_in import find_login
from storage.sign_in_ends import end_sign_ins
from storage.web_sessions import FoundSession, delete_other_sessions, verify_session
from tenants.app_password_text import APP_PASSWORDS_LIMIT, app_password_digest
from tenants.checks import check_password, clean_name
from tenants.errors import PasswordUnacceptable, ScopesInvalid
from tenants.passwords import generate_password, hash_password
from tenants.scram_keys import ITERATIONS, derive_keys, new_salting
from tenants.types import Principal, Scope


class OwnCredentials:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database, logins: Logins, endings: Endings, *, scram_iterations: int) -> None:
        self._database = database
        self._logins = logins
        self._endings = endings
        self._scram_iterations = scram_iterations

    async def change_password(self, session: FoundSession, old: str, new: str, *, network: str) -> str:
        """Everything that is open ends, but this session, whose token is another from now on: it is returned.

        Raises PasswordUnacceptable, LoginFailed (the old one is wrong), LoginThrottled, LoginRefused, SessionEnded.
        """
        who = session.who
        check_password(new)
        if new == old:
            raise PasswordUnacceptable("it is the one of before")
        await self._logins.sign_in(str(who.address), old, network=network)
        async with self._database.directory() as connection:
            record = await find_login(connection, who.address)
        if record is None or record.account_id != who.account_id:
            raise SessionEnded
        token, digest = new_token()
        new_hash = await asyncio.to_thread(hash_password, new)
        async with self._database.read(who.tenant_id) as connection:  # whoever else is about to make one comes too late
            salting = await salting_of(connection, who, new_salting(self._scram_iterations or ITERATIONS))
        keys = await asyncio.to_thread(derive_keys, new, salting) if self._scram_iterations else None
        async with self._database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            was_changed = await change_password(connection, who, record.password_hash, new_hash)
            if was_changed:
                if keys is not None:
                    await keep_for_scram(connection, who, new_hash, salting, keys)
                await delete_other_sessions(connection, who, session.id)
                await verify_session(connection, who, session.id, digest)
                epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
        if not was_changed:  # by somebody else, at this moment
            raise SessionEnded
        self._endings.ended(who.account_id, epoch)
        note_act(who, "changed the own password", network=network, session=session.id)
        return token

    async def standing(self, who: Principal) -> Standing:
        async with self._database.read(who.tenant_id) as connection:
            return await standing_of(connection, who)

    async def app_passwords(self, who: Principal) -> Sequence[ListedAppPassword]:
        async with self._database.read(who.tenant_id) as connection:
            return await list_app_passwords(connection, who)

    async def add_app_password(self, who: Principal, name: str, scopes: Collection[Scope], *, network: str) -> str:
        """The password, to be shown once. Raises NameInvalid, ScopesInvalid, AppPasswordExists, TooMany,
        SessionEnded."""
        clean = clean_name(name)
        if not scopes:
            raise ScopesInvalid
        password = generate_password()
        fresh = new_salting(self._scram_iterations or ITERATIONS)
        async with self._database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            salting = await salting_of(connection, who, fresh)
            is_room = len(await list_app_passwords(connection, who)) < APP_PASSWORDS_LIMIT
            if is_room:
                keys = await asyncio.to_thread(derive_keys, password, salting)
                assert keys is not None  # letters and digits
                await insert_app_password(
                    connection,
                    who,
                    name=clean,
                    scopes=" ".join(scope for scope in Scope if scope in scopes),
                    digest=app_password_digest(salting.salt, password),
                    keys=keys,
                )
        if not is_room:
            raise TooMany(APP_PASSWORDS_LIMIT)
        note_act(who, "made an app password", network=network, scopes=len(scopes))
        return password

    async def revoke_app_password(self, who: Principal, app_password_id: int, *, network: str) -> None:
        """What it has open ends: all mail connections do, and come back where another password is good. Raises
        FactorMissing."""
        async with self._database.transaction(who.tenant_id) as connection:
            epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
            was_there = await delete_app_password(connection, who, app_password_id)
        if not was_there:
            raise FactorMissing
        self._endings.ended(who.account_id, epoch)
        note_act(who, "revoked an app password", network=network, app_password=app_password_id)
