"""Whether a file could be written, before the work that makes it."""

import os
from pathlib import Path

from avatargen.core.errors import OutputError


def check_place(path: Path) -> None:
    """Refuse a file that cannot be written; nothing is made.

    Raises:
        OutputError: the name cannot be, or its folder is a file or not ours to write into.
    """
    if "\0" in str(path):
        raise OutputError(f"cannot write {str(path)!r}: there is a zero byte in the name")
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file with --out")
    there = next(folder for folder in [*path.absolute().parents] if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(
            f"cannot write {path}: {there} is no folder to write into\n  Choose another place with --out."
        )
