"""Reads weight files that others made, as named tensors, without running anything that is in them.

Three formats: safetensors; a plain state dict (`torch.save`), read by torch's own restricted unpickler; and a
TorchScript archive, whose module tree is read by ours, which knows tensors and plain containers only.
"""

import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import load_tensors
from avatargen.core.pickles import STORAGE_DTYPES, ArchiveUnpickler, rebuild_tensor


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors file, a state dict or a TorchScript archive, on the CPU.

    Raises:
        MissingAssetError: there is no such file.
        BrokenFileError: it is truncated, of another kind, or holds more than tensors.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
    except FileNotFoundError:
        raise MissingAssetError(f"no weight file {path}\n  Give its path with --guidance-weights.") from None
    except OSError as error:
        raise BrokenFileError(f"cannot read {path}: {error.strerror or error}") from error
    if len(head) == 9 and head[8:9] == b"{":
        return load_tensors(path)[0]
    if head[:2] == b"PK" and _is_script(path):
        return _read_script(path)
    return _read_state_dict(path)


def _is_script(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except Exception as error:  # zipfile has half a dozen kinds for an archive that is none
        raise BrokenFileError(f"{path} is a damaged archive: {error}\n  Copy or download it again.") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols
            loaded = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251  the one loader, tensors only
    except Exception as error:  # torch tries several formats, each with errors of its own
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BrokenFileError(
            f"{path} cannot be read as tensors only: {reason[:160]}\n"
            f"  Wanted: a state dict, a TorchScript archive or safetensors. Files that hold code are refused."
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping):
        raise BrokenFileError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    tensors = {str(key).removeprefix("module."): v for key, v in loaded.items() if isinstance(v, Tensor)}
    if not tensors:
        raise BrokenFileError(f"{path} holds no tensors")
    return tensors


class _Node:
    """Stands for any object of the archive: it has attributes and no behaviour."""


def _same(value: object, *_: object) -> object:
    return value


_HARMLESS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _same,
    ("torch.jit._pickle", "build_intlist"): _same,
    ("torch.jit._pickle", "build_doublelist"): _same,
    ("torch.jit._pickle", "build_boollist"): _same,
    ("torch.jit._pickle", "build_tensorlist"): _same,
    ("torch.jit._pickle", "restore_type_tag"): _same,
}


class _Reader(ArchiveUnpickler):
    """Rebuilds the module tree of a TorchScript archive from tensors and empty nodes."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        if (module_name, global_name) in _HARMLESS:
            return _HARMLESS[module_name, global_name]
        if module_name.split(".")[0] == "__torch__":
            return _Node
        if module_name == "torch" and global_name in STORAGE_DTYPES:
            return STORAGE_DTYPES[global_name]
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is not a tensor")


def _read_script(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            folder = next(n for n in archive.namelist() if n.endswith("/data.pkl")).removesuffix("data.pkl")
            if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") == b"big":
                raise BrokenFileError(f"{path} was written on a big-endian machine and cannot be read here")
            root = _Reader(archive, folder).load()
    except BrokenFileError:
        raise
    except Exception as error:  # zipfile, zlib and the unpickler have a dozen kinds for what was altered
        raise BrokenFileError(
            f"{path} cannot be read as an archive of tensors: {error or type(error).__name__}"
        ) from error
    tensors: dict[str, Tensor] = {}
    _collect(root, "", tensors, 0)
    if not tensors:
        raise BrokenFileError(f"{path} holds no tensors")
    return tensors


def _collect(node: object, prefix: str, tensors: dict[str, Tensor], depth: int) -> None:
    if depth > 32:  # no published model is nested deeper; a file could be made to loop
        return
    for name, value in vars(node).items() if isinstance(node, _Node) else ():
        if isinstance(value, Tensor):
            tensors[prefix + name] = value
        elif isinstance(value, _Node):
            _collect(value, f"{prefix}{name}.", tensors, depth + 1)
