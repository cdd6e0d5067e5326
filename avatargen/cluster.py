"""Rows of a table made by the workers of a Ray cluster (extra `ray`).

The workers need avatargen installed and no files in common with this machine: a row goes there as a few words, and the
files of its folder come back as bytes, in memory. A row whose worker dies is tried again; one that cannot be made is
not.
"""

import importlib.util
import json
import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from avatargen.batch import Row, Runner
from avatargen.core.config import find_config, read_tree
from avatargen.core.errors import AvatarGenError, BrokenFileError, InputError, MissingExtraError
from avatargen.core.failures import machine_failure
from avatargen.core.files import whole_folder
from avatargen.core.progress import Reporter, Silent
from avatargen.core.version import VERSION

_LARGEST = 1 << 30
_STORE = 512 << 20
_ANSWER_SECONDS = 5.0
# Nothing is sent anywhere; and Ray's next default for machines without a GPU, of whose change it warns.
_ALWAYS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What each row takes of the cluster."""

    cpus: int = 1
    """Cores, and threads of torch."""
    gpus: int | None = None
    """Whole GPUs; None: one where the cluster has any. A task without one sees none."""
    retries: int = 2
    """How often a row is tried again after its worker died."""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Makes a row in the process that calls it; goes to the workers as it is."""

    quality: str = "standard"
    guidance: str | None = None
    device: str | None = None
    config: str | None = None
    """The text of a configuration, not its file; see `config_text`."""
    overrides: tuple[str, ...] = ()

    def __call__(self, row: Row, folder: Path) -> str:
        """Make the row in `folder`; why it failed, or nothing."""
        from avatargen.api import generate  # noqa: PLC0415  a driver without a row to make needs no torch

        with tempfile.TemporaryDirectory(prefix="avatargen-") as scratch:
            config = Path(scratch) / "batch.conf"
            if self.config is not None:
                config.write_text(self.config, encoding="utf-8")
            generate(
                row.shape or None,
                row.appearance or None,
                row.motion or None,
                quality=self.quality,
                out=folder,
                seed=row.seed,
                guidance=self.guidance,
                device=self.device,
                describe_as=row.describe or None,
                config=None if self.config is None else config,
                overrides=self.overrides,
            )
        return ""


def config_text(path: Path) -> str:
    """A configuration as one text that needs no other file: includes and substitutions are resolved.

    Raises:
        ConfigError: the file cannot be used.
    """
    return json.dumps(read_tree(find_config(path)), ensure_ascii=False)


class Cluster:
    """A `Runner` for `run_batch`: makes each row as one task of a Ray cluster; see `connected`."""

    def __init__(self, runner: Runner, task: Task, reporter: Reporter) -> None:
        import ray  # noqa: PLC0415

        gpus = task.gpus if task.gpus is not None else int(ray.cluster_resources().get("GPU", 0) >= 1)
        # A process for each row: nothing of one is left for the next. Tries are counted here, where they can be told.
        options: dict[str, Any] = {"num_cpus": task.cpus, "num_gpus": gpus, "max_retries": 0, "max_calls": 1}
        _check_room(ray.nodes(), {"CPU": task.cpus, "GPU": gpus})
        self._remote, self._ray, self._gpus = ray.remote(**options)(_made), ray, gpus
        self._runner, self._retries, self._told = ray.put(runner), task.retries, reporter
        self._running: set[Any] = set()
        self._lock, self._stopped = threading.Lock(), threading.Event()

    def __call__(self, row: Row, folder: Path) -> str:
        """Have the row made and fetch its files; why it failed, or nothing."""
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError  # noqa: PLC0415

        reason = ""
        for tried in range(1 + self._retries):
            if tried:
                self._told.note(f"{row.folder}: {reason}; trying again ({tried} of {self._retries})")
            try:
                return _fetched(self._answer(row), folder)
            except TaskCancelledError:
                return "stopped"
            except RayTaskError as error:  # ours to mend: a worker without this version, a bug
                return str(error).strip().splitlines()[-1]
            except RayError as error:
                if self._stopped.is_set():
                    return "stopped"
                reason = f"its worker died ({type(error).__name__})"
        return f"{reason}, {1 + self._retries} times"

    def _answer(self, row: Row) -> "Made":
        with self._lock:
            if self._stopped.is_set():
                return Made(reason="stopped")
            ref = self._remote.remote(self._runner, row, VERSION, self._gpus)
            self._running.add(ref)
        try:
            return self._ray.get(ref)
        finally:
            with self._lock:
                self._running.discard(ref)

    def stop(self) -> None:
        """End what is being made; every waiting row fails at once."""
        with self._lock:
            self._stopped.set()
            for ref in self._running:
                self._ray.cancel(ref, force=True)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What comes back from a worker."""

    reason: str = ""
    """Why the row failed; empty if it did not."""
    files: tuple[tuple[str, bytes], ...] = ()
    """Path inside the row's folder, with slashes, and content."""


def _made(runner: Runner, row: Row, version: str, gpus: int) -> Made:
    """Runs in a worker: make the row in a folder of its own and take its files into memory."""
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves a task without a GPU those of its machine
    if version != VERSION:
        return Made(reason=f"the worker has avatargen {VERSION}, not {version}; install the same on every node")
    scratch = Path(tempfile.mkdtemp(prefix="avatargen-"))
    try:
        folder = scratch / row.folder
        reason = runner(row, folder)
        return Made(reason=reason) if reason else _packed(folder)
    except AvatarGenError as error:
        return Made(reason=str(error).splitlines()[0])
    except Exception as error:  # whatever a row dies of is its reason in the gallery; the others go on
        said = machine_failure(error) or f"{type(error).__name__}: {error}"
        return Made(reason=said.splitlines()[0])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _packed(folder: Path) -> Made:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / ".work" / "lock"]
    size = sum(path.stat().st_size for path in found)
    if size > _LARGEST:
        return Made(reason=f"its files have {size / 1e9:.1f} GB, too much to send; make it without --ray")
    return Made(files=tuple((path.relative_to(folder).as_posix(), path.read_bytes()) for path in found))


def _fetched(made: Made, folder: Path) -> str:
    """Put the files that came back into `folder`, all or none; why the row failed, or nothing.

    Raises:
        BrokenFileError: a name leads out of the folder.
        OutputError: the folder cannot be written.
    """
    if made.reason:
        return made.reason
    for name, _ in made.files:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise BrokenFileError(f"a worker sent a file called {name!r}, which is no place inside {folder}")
    with whole_folder(folder) as new:
        for name, data in made.files:
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return ""


@contextmanager
def connected(
    address: str, runner: Runner, task: Task | None = None, reporter: Reporter | None = None
) -> Iterator[Cluster]:
    """A cluster for the time of this block.

    Args:
        address: `local` for processes of this machine, which end with the block; `auto` for the cluster this machine
            belongs to; or HOST:PORT of one.
        runner: makes one row, in a worker.
        task: what each row takes.
        reporter: told of rows that are tried again.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster, or no machine of it is large enough.
    """
    asked = task or Task()
    for name, value, least in (("cpus", asked.cpus, 1), ("gpus", asked.gpus or 0, 0), ("retries", asked.retries, 0)):
        if value < least:
            raise InputError(f"--task-{name} {value}: at least {least}")
    _check_address(address)
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError('--ray needs Ray\n  pip install "avatargen[ray]"')
    _check_answer(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        quiet |= {"include_dashboard": False, "object_store_memory": _STORE}
    with _environment(_ALWAYS | (_own() if address == "local" else {})):
        import ray  # noqa: PLC0415

        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"--ray {address}: no cluster there: {str(error).strip().splitlines()[0]}") from error
        try:
            yield Cluster(runner, asked, reporter or Silent())
        finally:
            ray.shutdown()


def _own() -> dict[str, str]:
    """Environment of processes with which no other machine has business: they listen on 127.0.0.1, behind a token.

    Ray binds to every network interface where it believes that a cluster is possible (read when it is imported).
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    known = address in ("local", "auto") or (host and port.isdecimal() and 0 < int(port) < 65536)
    if not known:
        raise InputError(f"--ray {address!r} is no address; write local, auto or HOST:PORT")


def _check_answer(address: str) -> None:
    """Ray waits a minute for a cluster that is not there and may then end the process, so ask first."""
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise InputError(f"--ray {address}: no cluster answers there ({error.strerror or error})") from error


def _check_room(nodes: list[dict[str, Any]], asked: dict[str, int]) -> None:
    """A task that fits nowhere would wait for ever."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(has.get(what, 0) >= number for what, number in asked.items()) for has in alive):
        wanted = " and ".join(f"{number} {what}" for what, number in asked.items() if number)
        raise InputError(f"no machine of the cluster has {wanted} for a row\n  Ask for less: --task-cpus, --task-gpus.")
