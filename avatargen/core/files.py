"""Files appear whole or not at all; tensors are stored as safetensors, which cannot execute anything."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as _encode_tensors

from avatargen.core.errors import BrokenFileError, InputError, OutputError


def write_whole(path: Path, data: bytes) -> Path:
    """Put `data` at `path` by one rename, so that no reader ever sees half a file.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {path}: {why}\n  Choose another folder with --out.") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` when the block ends, or vanishes if it fails.

    The older one is moved aside and deleted only when the new one stands, so that one of the two is always there.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"cannot write {folder}: {why}\n  Choose another folder with --out.") from error
    new, old = part / "new", part / "old"
    try:
        new.mkdir(mode=0o755)
        yield new
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_small_text(path: Path, what: str, most_bytes: int = 20_000_000) -> str:
    """The text of a file in UTF-8 that the user named as `what`, without a byte order mark.

    Raises:
        InputError: there is none, it is a folder or a device, too large, or no text.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no file; name {what}")
        if path.stat().st_size > most_bytes:
            raise InputError(f"{path} has more than {most_bytes // 10**6} MB; name {what}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: bytes that are no text, a zero byte in the name
        raise InputError(f"{path} cannot be read: {error}\n  Name {what}.") from error


def digest_bytes(data: bytes) -> str:
    """Twelve hex digits that name these bytes."""
    return hashlib.blake2b(data, digest_size=6).hexdigest()


def digest_file(path: Path) -> str:
    """Twelve hex digits that name the content of `path`."""
    return digest_bytes(path.read_bytes())


def cache_key(**parts: object) -> str:
    """A file-name-safe key that changes whenever one of `parts` does. Put versions among them."""
    return digest_bytes(repr(sorted(parts.items())).encode())


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    """Write named tensors, and text metadata, as safetensors."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_whole(path, _encode_tensors(plain, dict(metadata or {})))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read what `save_tensors` wrote.

    Raises:
        BrokenFileError: the file is truncated or is not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  not a mapping
            return tensors, dict(stream.metadata() or {})
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        message = f"{path} is not a readable safetensors file: {error}\n  Delete it to have it made again."
        raise BrokenFileError(message) from error


def cache_dir() -> Path:
    """Where things that can be made again are kept: `$AVATARGEN_CACHE`, else the user's cache folder."""
    named = os.environ.get("AVATARGEN_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avatargen"
    return base
