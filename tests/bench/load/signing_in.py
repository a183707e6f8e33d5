"""Connect, sign in, SELECT INBOX, LOGOUT: after STARTTLS, and over implicit TLS.

Everybody has signed in a moment ago, as mail programs do again and again: the price of checking a password for the
first time is a choice (20 ms of argon2id at ours, a comparison of plain text at the peer), and shows elsewhere.
"""

from tests.bench.load.rig import Rig, work

_FIRST_USER = 300
_TIMES_BEFORE = 8
"""So often that every process of the server has met everybody."""


async def login_select(rig: Rig) -> None:
    await _sign_in(rig, "login_select", starttls=True)


async def login_select_tls(rig: Rig) -> None:
    await _sign_in(rig, "login_select_tls", starttls=False)


async def _sign_in(rig: Rig, name: str, *, starttls: bool) -> None:
    o = rig.options

    async def sign_in(_worker: int, number: int) -> None:
        client = await rig.imap(_FIRST_USER + number % o.users, b"INBOX", starttls=starttls)
        await client.command(b"LOGOUT")
        client.close()

    await work(range(_TIMES_BEFORE * o.users), o.connections, sign_in)
    meter = rig.meter().start()
    latencies_s, errors = await work(range(o.logins), o.connections, sign_in)
    meter.stop().tell(name, len(latencies_s), latencies_s=latencies_s, errors=errors)
