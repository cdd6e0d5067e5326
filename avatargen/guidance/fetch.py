"""Fetches a public file once, checked by its SHA-256, whole or not at all. Never waits long for a missing network."""

import contextlib
import hashlib
import os
import tempfile
import threading
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from avatargen.core.errors import BrokenFileError, MissingAssetError, OutputError
from avatargen.core.progress import Reporter
from avatargen.core.settings import GuidanceSettings

CONNECT_SECONDS = 3.0
"""How long to wait for an answer; name look-up included, which sockets do not limit by themselves."""
_READ_SECONDS = 30.0
_CHUNK = 1 << 20


def offline(settings: GuidanceSettings) -> bool:
    """Whether nothing may be fetched: `guidance.download = false`, or AVATARGEN_OFFLINE in the environment."""
    return not settings.download or os.environ.get("AVATARGEN_OFFLINE", "") not in ("", "0")


def fetch(url: str, sha256: str, target: Path, reporter: Reporter) -> Path:
    """Download `url` to `target` and return it.

    Raises:
        MissingAssetError: the server cannot be reached or the connection broke.
        BrokenFileError: what came is not the file with that checksum.
        OutputError: `target` cannot be written.
    """
    response = _open(url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    part = Path(name)
    try:
        with response, os.fdopen(handle, "wb") as stream:
            found = _copy(response, stream, target.name, reporter)
        if found != sha256:
            raise BrokenFileError(
                f"{url} sent another file than expected (SHA-256 {found[:12]}..., not {sha256[:12]}...)"
            )
        part.chmod(0o644)
        part.replace(target)
    except (OSError, HTTPException) as error:
        raise MissingAssetError(f"the download of {url} broke off: {error}\n  Try again, or bring the file.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return target


def _open(url: str) -> HTTPResponse:
    """The response, or an error within a few seconds."""
    answers: list[HTTPResponse | Exception] = []

    def ask() -> None:
        try:
            answers.append(urllib.request.urlopen(url, timeout=_READ_SECONDS))
        except (OSError, HTTPException, ValueError) as error:
            answers.append(error)

    # A look-up without network may hang for much longer than any socket timeout; the thread is left behind then.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not answers or isinstance(answers[0], Exception):
        reason = answers[0] if answers else f"no answer within {CONNECT_SECONDS:.0f} seconds"
        raise MissingAssetError(f"cannot fetch {url}: {reason}")
    return answers[0]


def _copy(response: HTTPResponse, stream: IO[bytes], name: str, reporter: Reporter) -> str:
    total = int(response.headers.get("Content-Length") or 0)
    digest = hashlib.sha256()
    reporter.note(f"fetching {name} ({total / 1e6:.0f} MB)")
    reporter.start("download", max(1, total // _CHUNK))
    try:
        while chunk := response.read(_CHUNK):
            digest.update(chunk)
            stream.write(chunk)
            reporter.step()
    finally:
        reporter.finish()
    return digest.hexdigest()
