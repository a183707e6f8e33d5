"""The S3 servers that the tests of objects run against: the embedded SeaweedFS, and MinIO built from source."""

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.certificates import Certificates
from deploy.local.child import StopStep, launch, wait_until
from deploy.local.objects import start_objects
from storage.blobs.objects_config import ObjectsConfig

ROOT = Path(__file__).parents[3]
_ACCESS_KEY, _SECRET_KEY = "waypost", "a secret of these tests"
_START_S = 60.0


@contextmanager
def seaweedfs(directory: Path) -> Iterator[ObjectsConfig]:
    running = start_objects(directory)
    try:
        access = running.access()
        yield ObjectsConfig(
            url=access.url, access_key=access.access_key, secret_key=access.secret_key, bucket=access.bucket
        )
    finally:
        running.stop()


@contextmanager
def minio(directory: Path, tls: Certificates | None = None) -> Iterator[ObjectsConfig]:
    """Of one directory: with less than four drives MinIO neither heals nor spreads, and speaks the same S3."""
    data, certificates = directory / "data", directory / "certificates"
    for each in (data, certificates):
        each.mkdir(parents=True)
    if tls is not None:
        shutil.copy(tls.certificate, certificates / "public.crt")
        shutil.copy(tls.key, certificates / "private.key")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    child = launch(
        "minio",
        [minio_program(), "server", data, "--address", address, "--certs-dir", certificates, "--quiet"],
        log=directory / "minio.log",
        environment={
            "PATH": os.defpath,
            "HOME": str(directory),
            "MINIO_ROOT_USER": _ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": _SECRET_KEY,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
            "GOMEMLIMIT": "512MiB",
        },
        directory=directory,
        death_signal=signal.SIGKILL,
    )
    try:
        scheme = "https" if tls is not None else "http"
        url = f"{scheme}://{address}"
        wait_until(child, lambda: _is_ready(address, is_tls=tls is not None), deadline_s=_START_S)
        yield ObjectsConfig(
            url=url, access_key=_ACCESS_KEY, secret_key=_SECRET_KEY, ca_file=tls.ca if tls is not None else None
        )
    finally:
        child.stop((StopStep(signal.SIGTERM, 5.0),))


def _is_ready(address: str, *, is_tls: bool) -> bool:
    if is_tls:  # whoever listens has read its certificate, and the tests try again
        host, port = address.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0
    try:
        with urllib.request.urlopen(f"http://{address}/minio/health/ready", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def minio_program() -> Path:
    """Builds it where `make` has not."""
    program = Path(sysconfig.get_path("scripts")) / "minio"
    subprocess.run([ROOT / "deploy" / "minio" / "build.sh", program], check=True)
    return program
