"""Tensors out of PyTorch checkpoints that hold more than tensors, without running anything that is in them.

Lightning writes hyper-parameters, callbacks and paths beside the weights, as objects of classes that are not installed
here and must not run. Tensors and plain containers are rebuilt; every other object becomes an empty stand-in.
"""

import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avatargen.core.errors import BrokenFileError
from avatargen.core.pickles import STORAGE_DTYPES, ArchiveUnpickler, rebuild_tensor


class _Empty(dict):
    """Stands for any object: takes whatever is done to it while it is read, and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Ignore."""

    def extend(self, values: object) -> None:
        """Ignore."""

    def add(self, value: object) -> None:
        """Ignore."""


def _rebuild(*view: Any) -> Tensor:
    return rebuild_tensor(*view).clone()


def _first(value: object, *_: object) -> object:
    return value


class _Reader(ArchiveUnpickler):
    def find_class(self, module_name: str, global_name: str, /) -> object:
        match module_name, global_name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild
            case "torch._utils", "_rebuild_parameter":
                return _first
            case "torch", name if name in STORAGE_DTYPES:
                return STORAGE_DTYPES[name]
            case _:
                return _Empty


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Named tensors of a `.ckpt`, `.pt` or `.pth`: those under `state_dict` if there is one, else those on top.

    Raises:
        BrokenFileError: the file is damaged, big-endian, or holds no tensors.
    """
    try:
        loaded = _read_zip(path) if zipfile.is_zipfile(path) else _read_old(path)
    except Exception as error:  # a damaged pickle raises whatever its reader meets
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BrokenFileError(f"{path} cannot be read as weights: {reason[:160]}") from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    items = loaded.items() if isinstance(loaded, Mapping) else ()
    tensors = {str(key): value for key, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise BrokenFileError(f"{path} holds no tensors")
    return tensors


def _read_zip(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
        if not pickles:
            raise BrokenFileError("the archive is not one of PyTorch's")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") == b"big":
            raise BrokenFileError("it was written on a big-endian machine")
        return _Reader(archive, folder).load()


def _read_old(path: Path) -> object:
    # Files from before PyTorch 1.6 are no archives; torch's own reader takes tensors only.
    return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251  foreign weights, weights only
