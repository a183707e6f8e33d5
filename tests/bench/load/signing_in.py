"""Connect, sign in, SELECT INBOX, LOGOUT: after STARTTLS, and over implicit TLS."""

from tests.bench.load.rig import Rig, work

_FIRST_USER = 300


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

    meter = rig.meter().start()
    latencies_s, errors = await work(range(o.logins), o.connections, sign_in)
    meter.stop().tell(name, len(latencies_s), latencies_s=latencies_s, errors=errors)
