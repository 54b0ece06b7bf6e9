"""Faults of a store and of the way to it: what is said, nothing is lost, and the next try succeeds."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dvc_checkouts import cached, clone, commit, dvc, files, output, served
from project import Project
from stores import SSH, WEIGHTS_BYTES, Store, wait_until

pytestmark = pytest.mark.slow

RESULTS = ("results/smoke/records", "results/smoke/weights")
CHECK = ("doctor", "--store")
REPAIR = "dmix doctor --store --repair"
TRACEBACK = "Traceback"


def results(project: Project) -> dict[str, bytes]:
    return {
        f"{folder}/{path}": content for folder in RESULTS for path, content in files(project, folder).items()
    }


def refused(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """Check that a command failed, says `words` and shows no traceback."""
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert TRACEBACK not in said
    for word in words:
        assert word in said
    return said


def some_weights(project: Project) -> str:
    return next(path for path in sorted(results(project)) if path.endswith("weights.safetensors"))


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def gets_all(first: Project, path: Path) -> None:
    """Check that a fresh clone gets every file as `first` has it, and that the store has no other fault."""
    second = clone(first, path)
    dvc(second, "pull", *RESULTS)
    assert results(second) == results(first)
    assert "broken" not in output(second.dmix(*CHECK))


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


FAULTS: tuple[Callable[[bytes], bytes], ...] = (flipped, cut)


def test_the_server_dies_during_a_push(first: Project, store: Store, tmp_path: Path):
    store.joined_by(first)
    before = results(first)
    pushing = first.start("dvc", "push")
    wait_until(store.arrived)
    store.kill()
    said, _ = pushing.communicate(timeout=300)
    assert pushing.returncode != 0
    assert "ERROR" in said
    assert TRACEBACK not in said
    refused(first.dmix(*CHECK), store.settings()["url"], "start its server")
    store.start()
    dvc(first, "push")
    assert results(first) == before
    gets_all(first, tmp_path / "second")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_object_of_the_store_is_not_delivered_and_is_repaired(
    first: Project, store: Store, tmp_path: Path, fault: Callable[[bytes], bytes]
):
    store.joined_by(first)
    dvc(first, "push")
    path = some_weights(first)
    whole = (first.path / path).read_bytes()
    store.write(md5(whole), fault(whole))

    second = clone(first, tmp_path / "second")
    refused(second.run("dvc", "pull", *RESULTS), "results/smoke/weights")
    assert results(second).items() <= results(first).items()
    refused(second.dmix(*CHECK, path), path, "damaged in the store; there is no whole copy here", REPAIR)
    third = clone(first, tmp_path / "third")
    run = path.split("/weights/")[1].rpartition("/")[0]
    joined = third.dmix("join", served(first, tmp_path / "served.git"), "--tier", "smoke")
    refused(joined, f"refused {run.rpartition('-')[0].rpartition('-')[0]}", "weights.safetensors")

    refused(first.dmix(*CHECK, path), f"broken  {path}  damaged in the store", REPAIR)
    said = output(first.dmix(*CHECK, "--repair"))
    assert f"{path}" in said
    assert "was damaged in the store" in said
    assert store.read(md5(whole)) == whole
    dvc(second, "pull", *RESULTS)
    assert results(second) == results(first)
    assert "broken" not in output(second.dmix(*CHECK))


def test_a_lost_object_that_dvc_takes_for_pushed(first: Project, store: Store, tmp_path: Path):
    """DVC looks for the listing of a folder alone."""
    store.joined_by(first)
    dvc(first, "push")
    path = some_weights(first)
    store.delete(md5((first.path / path).read_bytes()))
    assert "up to date" in dvc(first, "push")
    refused(first.dmix(*CHECK, path), "not in the store, which should have it", REPAIR)
    output(first.dmix(*CHECK, "--repair"))
    gets_all(first, tmp_path / "second")


@pytest.fixture
def pushed(first: Project, tmp_path: Path) -> Project:
    """A checkout whose store is a folder, as it is by default, and has all."""
    dvc(first, "remote", "modify", "store", "url", str(tmp_path / "store"))
    commit(first)
    dvc(first, "push")
    return first


def damage_in_place(file: Path) -> None:
    """Flip a bit of a file without a trace in its size, times and mode."""
    before = file.stat()
    content = flipped(file.read_bytes())
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_flipped_byte_in_the_cache_is_repaired_from_the_file(pushed: Project, tmp_path: Path):
    path = some_weights(pushed)
    place = cached(pushed, path)
    damage_in_place(place)
    refused(pushed.dmix(*CHECK), f"broken  {path}  damaged in the cache", REPAIR)
    assert "was damaged in the cache" in output(pushed.dmix(*CHECK, "--repair"))
    assert place.read_bytes() == (pushed.path / path).read_bytes()
    assert place.stat().st_mode & 0o777 == 0o444
    gets_all(pushed, tmp_path / "second")


def test_a_flipped_byte_in_the_cache_that_was_delivered(pushed: Project, tmp_path: Path):
    """DVC checks it out in silence; dmix says so, and its way out leads out."""
    second = clone(pushed, tmp_path / "second")
    dvc(second, "pull", *RESULTS)
    path = some_weights(pushed)
    damage_in_place(cached(second, path))
    (second.path / path).unlink()
    dvc(second, "checkout", *RESULTS)
    assert (second.path / path).read_bytes() != (pushed.path / path).read_bytes()

    done = second.dmix("plan", "--check", "--tier", "smoke")
    said = refused(done, "damaged", "weights.safetensors was cut or edited")
    (way_out,) = (line.strip() for line in said.splitlines() if REPAIR in line)
    commands = way_out.partition("get it again: ")[2].partition(";")[0].split(", then ")
    for command in commands:
        output(second.run("bash", "-c", command))
    assert results(second) == results(pushed)
    output(second.dmix("plan", "--check", "--tier", "smoke"))


def limit_files(size: int) -> Callable[[], None]:
    """Return what keeps a process from files over `size` bytes, as a full disk does."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def limited(project: Project, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file over the size of weights; DVC's own database is smaller."""
    return subprocess.run(
        command,
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=limit_files(WEIGHTS_BYTES + 500_000),
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few MB, which `grow` makes larger."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a disk can be mounted by root alone")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_the_disk_is_full_during_a_pull(pushed: Project, small_disk: Path):
    second = clone(pushed, small_disk / "second")
    refused(second.run("dvc", "pull", *RESULTS), "No space left on device")
    assert results(second).items() <= results(pushed).items()
    subprocess.run(["mount", "-o", "remount,size=500m", str(small_disk)], check=True)
    dvc(second, "pull", *RESULTS)
    assert results(second) == results(pushed)


def test_the_disk_is_full_during_a_commit(pushed: Project, tmp_path: Path):
    """DVC may record what its cache did not take, with status 0: the check says so; a new commit helps."""
    path = some_weights(pushed)
    (pushed.path / path).write_bytes(b"trained again" * 400_000)
    limited(pushed, "dvc", "commit", "--force", "train@smoke")
    pushed.run("dvc", "push")
    refused(pushed.dmix(*CHECK), "neither in the cache nor in the store", REPAIR)
    dvc(pushed, "commit", "--force", "train@smoke")
    dvc(pushed, "push")
    output(pushed.dmix(*CHECK))
    commit(pushed)
    gets_all(pushed, tmp_path / "second")


@pytest.mark.parametrize("store", ["ssh"], indirect=True)
def test_the_disk_of_the_server_is_full(first: Project, store: SSH, tmp_path: Path):
    store.joined_by(first)
    store.kill()
    store.start(file_bytes=1_000_000)
    refused(first.run("dvc", "push"), "ERROR: failed to push data to the cloud", "files failed to upload")
    assert not store.leftovers()
    store.kill()
    store.start()
    dvc(first, "push")
    gets_all(first, tmp_path / "second")


def test_two_push_at_once(first: Project, store: Store, tmp_path: Path):
    store.joined_by(first)
    second = clone(first, tmp_path / "second")
    for kind in ("results", ".dvc/cache"):
        subprocess.run(["cp", "-r", str(first.path / kind), str(second.path / kind)], check=True)
    both = [project.start("dvc", "push") for project in (first, second)]
    for pushing in both:
        said, _ = pushing.communicate(timeout=300)
        assert pushing.returncode == 0, said
    gets_all(first, tmp_path / "third")


def test_credentials_expire(first: Project, store: Store, tmp_path: Path):
    store.joined_by(first)
    dvc(first, "push", "results/smoke/records")
    store.revoke()
    refused(first.run("dvc", "push"), "ERROR")
    refused(first.dmix(*CHECK), store.settings()["url"], "renew the credentials")
    second = clone(first, tmp_path / "second")
    refused(second.run("dvc", "pull", *RESULTS), "ERROR")
    third = clone(first, tmp_path / "third")
    joined = third.dmix("join", served(first, tmp_path / "served.git"), "--tier", "smoke")
    refused(joined, "cannot read", "served.git")
    store.renew()
    dvc(first, "push")
    gets_all(first, tmp_path / "fourth")
