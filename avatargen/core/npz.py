"""NumPy archives: the same arrays give the same bytes, and nothing in a file is ever executed."""

import io
import zipfile
from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np

from avatargen.core.errors import BrokenFileError

_MAX_BYTES = 1 << 30


def encode_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A compressed `.npz` of `arrays`. Unlike `np.savez` it holds no time stamps, so equal input gives equal bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, array in arrays.items():
            raw = io.BytesIO()
            np.lib.format.write_array(raw, np.asanyarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, raw.getvalue())
    return target.getvalue()


def read_npz(path: Path, keys: Container[str] | None = None, most_bytes: int = _MAX_BYTES) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, without executing anything: entries that need pickle are refused where they are read.

    Entries that hold Python objects come back missing, since old files keep harmless extras in them.

    Args:
        path: the archive.
        keys: which arrays; all of them if None.
        most_bytes: how much they may unpack to.

    Raises:
        BrokenFileError: not an archive, cut off, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(info.file_size for info in archive.infolist())
        if total > most_bytes:
            raise BrokenFileError(f"{path}: unpacks to {total} bytes; refusing more than {most_bytes}")
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in archive.files if keys is None or name in keys]
            return {name: array for name in names if (array := _entry(archive, name, path)) is not None}
    except (FileNotFoundError, BrokenFileError):
        raise
    except Exception as error:  # zipfile, zlib and NumPy have a dozen kinds for an archive that is not one
        raise BrokenFileError(f"{path}: not a readable .npz file: {error}") from error


def _entry(archive: "np.lib.npyio.NpzFile", name: str, path: Path) -> np.ndarray | None:
    try:
        value = archive[name]
    except ValueError as error:
        if "pickle" in str(error).lower() or "object" in str(error).lower():
            return None
        raise BrokenFileError(f"{path}: entry {name!r}: {error}") from error
    return value if isinstance(value, np.ndarray) else None
