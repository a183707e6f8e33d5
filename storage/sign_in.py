"""What sign-in asks of the directory, as a statement of this package: through a cursor it costs twice the Python."""

from storage.query import Connection, Query
from tenants.directory import LOGIN, LoginRow, login_record
from tenants.types import Address, LoginRecord

_LOGIN = Query(LOGIN, row=LoginRow)


async def find_login(connection: Connection, address: Address) -> LoginRecord | None:
    """What sign-in must know of the account with this address (any of its addresses, no detail); None if there is none.

    `address` of the record is the primary one. The caller judges the statuses; those of a domain count as the tenant's.
    """
    row = await _LOGIN.first(connection, local_part=address.local_part, domain=address.domain)
    return None if row is None else login_record(row)
