"""One run at a time in a folder, and what a killed one left half-written is cleared away."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from avatargen.core.errors import OutputError

_PART = re.compile(r"\..+\.[a-z0-9_]{8}\.part")


@dataclass(frozen=True)
class Hold:
    """A folder that is held."""

    folder: Path
    identity: tuple[int, int]
    """Device and number of the lock's file."""

    def check(self) -> None:
        """Make sure that the folder is still the one that was taken.

        Raises:
            OutputError: it was deleted, moved away or replaced.
        """
        try:
            found = _identity(_lock(self.folder).stat())
        except OSError:
            found = None
        if found != self.identity:
            raise OutputError(
                f"{self.folder} was deleted or moved while the run was writing into it\n"
                "  Start the same command again; with --resume it takes what is still there."
            )


@contextmanager
def locked(folder: Path) -> Iterator[Hold]:
    """Hold the folder for one run; the system lets go of it however the process ends.

    Raises:
        OutputError: the folder cannot be made or written, or another run holds it.
    """
    try:
        _lock(folder).parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(folder).open("a")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write into {folder}: {why}\n  Choose another folder with --out.") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another run is writing into {folder}; wait for it or choose another --out") from None
        except OSError:
            pass  # some network file systems have no locks
        clear_unfinished(folder)
        yield Hold(folder, _identity(os.fstat(handle.fileno())))


def clear_unfinished(folder: Path) -> None:
    """Delete what a killed process left beside the files it was writing (see `avatargen.core.files`).

    Only safe while the folder is held.
    """
    for place in (folder, folder / ".work"):
        for part in place.glob(".*.part"):
            if not _PART.fullmatch(part.name):
                continue  # somebody else's
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    part.unlink()


def _lock(folder: Path) -> Path:
    return folder / ".work" / "lock"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
