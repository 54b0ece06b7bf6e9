"""Stores for DVC on this machine: servers of S3 and SSH, each a program that tests start and kill."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from dvc_checkouts import commit, dvc
from project import Project

SECONDS = 120.0
REGION = "us-east-1"
BUCKET = "team"
# Requests that make the user, before the server begins to check signatures and rights.
UNCHECKED = 4
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
HERE = {"aws_access_key_id": "anybody", "aws_secret_access_key": "anything", "region_name": REGION}

WEIGHTS_BYTES = 4_000_000  # of each run of a recorded checkout: a push takes a second or more


class Store(ABC):
    """A server with an empty store.

    Attributes
    ----------
    port: of localhost, which it keeps when it is started again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self, file_bytes: int | None = None) -> None:
        """Start it and wait until it answers.

        Parameters
        ----------
        file_bytes: the largest file that it can write, which is then as if its disk were full.
        """

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return the settings of DVC's remote that everybody has."""

    @abstractmethod
    def read(self, md5: str) -> bytes:
        """Return the content of an object."""

    @abstractmethod
    def write(self, md5: str, content: bytes) -> None:
        """Give an object another content, as a fault of the disk does."""

    @abstractmethod
    def delete(self, md5: str) -> None:
        """Lose an object."""

    @abstractmethod
    def arrived(self) -> bool:
        """Return whether anything has arrived."""

    @abstractmethod
    def revoke(self) -> None:
        """Refuse the credentials that the user has, as when they have expired."""

    @abstractmethod
    def renew(self) -> None:
        """Give the user credentials that are accepted."""

    def kill(self) -> None:
        """End the server at once, with all connections."""
        if self.process is not None:
            # The processes of connections first, by their parent: some have left its group.
            subprocess.run(["pkill", "-KILL", "-P", str(self.process.pid)], check=False)
            self.process.kill()
            self.process.wait()
            self.process = None

    def joined_by(self, project: Project) -> None:
        """Make it the store of a checkout, in a committed setting."""
        for name, value in self.settings().items():
            dvc(project, "remote", "modify", "store", name, value)
        commit(project)

    def _launch(self, command: list[str], ready: Callable[[], bool], **options: object) -> None:
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **options)  # type: ignore[call-overload]
        wait_until(ready)


class S3(Store):
    """moto's server of S3 and IAM, which checks signatures and rights; objects are in its memory."""

    def start(self, file_bytes: int | None = None) -> None:
        assert file_bytes is None, "it has no disk"
        self._launch(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)],
            self._answers,
            env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(UNCHECKED)},
        )
        admin = boto3.client("iam", endpoint_url=self.url, **HERE)
        admin.create_user(UserName="team")
        policy = json.dumps(ANYTHING)
        admin.put_user_policy(UserName="team", PolicyName="anything", PolicyDocument=policy)
        self._keep(admin.create_access_key(UserName="team")["AccessKey"])
        boto3.client("s3", endpoint_url=self.url, **HERE).create_bucket(Bucket=BUCKET)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, str]:
        return {"url": f"s3://{BUCKET}/store", "endpointurl": self.url, "region": REGION}

    def read(self, md5: str) -> bytes:
        return self._client("s3").get_object(Bucket=BUCKET, Key=self._key(md5))["Body"].read()

    def write(self, md5: str, content: bytes) -> None:
        self._client("s3").put_object(Bucket=BUCKET, Key=self._key(md5), Body=content)

    def delete(self, md5: str) -> None:
        self._client("s3").delete_object(Bucket=BUCKET, Key=self._key(md5))

    def arrived(self) -> bool:
        return b'"PUT /team/store' in (self.folder / "server.log").read_bytes()

    def revoke(self) -> None:
        admin = self._client("iam")
        spare = admin.create_access_key(UserName="team")["AccessKey"]
        expired = self._keys()
        self.spare = (spare["AccessKeyId"], spare["SecretAccessKey"])
        admin.delete_access_key(UserName="team", AccessKeyId=expired[0])

    def renew(self) -> None:
        self._keep(dict(zip(("AccessKeyId", "SecretAccessKey"), self.spare, strict=True)))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                return True
        except OSError:
            return False

    @staticmethod
    def _key(md5: str) -> str:
        return f"store/files/md5/{md5[:2]}/{md5[2:]}"

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"

    def _keep(self, key: dict[str, str]) -> None:
        self.credentials.write_text(
            f"[default]\naws_access_key_id = {key['AccessKeyId']}\n"
            f"aws_secret_access_key = {key['SecretAccessKey']}\n"
        )

    def _keys(self) -> tuple[str, str]:
        lines = self.credentials.read_text().splitlines()[1:]
        identity, secret = (line.partition(" = ")[2] for line in lines)
        return identity, secret

    def _client(self, service: str):
        identity, secret = self._keys()
        keys = {"aws_access_key_id": identity, "aws_secret_access_key": secret, "region_name": REGION}
        return boto3.client(service, endpoint_url=self.url, **keys)


class SSH(Store):
    """openssh's server, run as this user with keys of its own."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("sshd", path=os.pathsep.join((os.environ["PATH"], "/usr/sbin")))
        if program is None or shutil.which("ssh-keygen") is None:
            pytest.skip("sshd is not installed (Debian: apt-get install openssh-server)")
        super().__init__(folder)
        self.program = program
        self.root = folder / "store"
        for name in ("host", "user", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        self.renew()
        settings = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",  # folders of tests may be another user's
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "Subsystem": "sftp internal-sftp",
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        (folder / "sshd_config").write_text(text)

    def start(self, file_bytes: int | None = None) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # without it root's sshd does not start

        def limit() -> None:
            if file_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        command = [self.program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._launch(command, self._answers, preexec_fn=limit)

    def settings(self) -> dict[str, str]:
        return {"url": f"ssh://127.0.0.1:{self.port}{self.root}", "keyfile": str(self.folder / "user")}

    def read(self, md5: str) -> bytes:
        return self._file(md5).read_bytes()

    def write(self, md5: str, content: bytes) -> None:
        self._file(md5).write_bytes(content)

    def delete(self, md5: str) -> None:
        self._file(md5).unlink()

    def leftovers(self) -> list[Path]:
        """Return files of uploads that were not finished."""
        return list(self.root.rglob("*.tmp"))

    def arrived(self) -> bool:
        return any(path.is_file() and path.stat().st_size for path in self.root.rglob("*"))

    def revoke(self) -> None:
        shutil.copy(self.folder / "stranger.pub", self.folder / "authorized_keys")

    def renew(self) -> None:
        shutil.copy(self.folder / "user.pub", self.folder / "authorized_keys")

    def _file(self, md5: str) -> Path:
        return self.root / "files/md5" / md5[:2] / md5[2:]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


KINDS: dict[str, type[Store]] = {"s3": S3, "ssh": SSH}


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail when it does not come true."""
    end = time.monotonic() + SECONDS
    for _ in itertools.count():
        if condition():
            return
        assert time.monotonic() < end
        time.sleep(0.01)
