"""Pickles that others made, read as data: no names but those that a reader lists, and no file eats the memory."""

import io
import pickle
import pickletools
import zipfile
from pathlib import Path

import torch
from torch import Tensor

STORAGE_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class DataUnpickler(pickle.Unpickler):
    """An unpickler of bytes that refuses all names; a reader overrides `find_class` with the few that it knows."""

    def __init__(self, raw: bytes) -> None:
        check_pickle(raw)
        super().__init__(io.BytesIO(raw), encoding="latin1")

    def find_class(self, module_name: str, global_name: str, /) -> object:
        """What a name stands for.

        Raises:
            pickle.UnpicklingError: always, here.
        """
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}; nothing was run")


def check_pickle(raw: bytes) -> None:
    """See that no opcode asks for more than the bytes hold.

    CPython makes room for as many remembered objects as the highest number used: six bytes could ask for 60 GB.

    Raises:
        pickle.UnpicklingError: one does, or it is no pickle.
    """
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= len(raw):
                raise pickle.UnpicklingError(f"it numbers an object {argument}")
    except ValueError as error:
        raise pickle.UnpicklingError(f"it is no whole pickle: {error}") from error


class ArchiveUnpickler(DataUnpickler):
    """Reads `data.pkl` of an archive of PyTorch's, whose storages are entries beside it."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive, self._folder = archive, folder
        # PyTorch stores tensors as they are: what unpacks to much more than the file is made to fill the memory.
        self._room = 2 * Path(str(archive.filename)).stat().st_size
        self._storages: dict[str, bytearray] = {}
        super().__init__(self._entry("data.pkl"))

    def _entry(self, name: str) -> bytes:
        info = self._archive.getinfo(f"{self._folder}{name}")
        self._room -= info.file_size
        if self._room < 0:
            raise pickle.UnpicklingError("its entries unpack to more than the file could hold")
        return self._archive.read(info)

    def persistent_load(self, pid: object) -> Tensor:
        """The storage that `pid` names, as a flat tensor.

        Raises:
            pickle.UnpicklingError: it names one in an unknown way.
        """
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), _, int(count)) if key.isalnum() and count >= 0:
                if not count:
                    return torch.empty(0, dtype=dtype)
                if key not in self._storages:
                    self._storages[key] = bytearray(self._entry(f"data/{key}"))
                return torch.frombuffer(self._storages[key], dtype=dtype, count=count)
            case _:
                raise pickle.UnpicklingError(f"it names a storage in an unknown way: {str(pid)[:80]}")


def rebuild_tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    """Stands for torch's own function; a view with more numbers than its storage would grow when it is copied.

    Raises:
        ValueError: such a view.
    """
    view = torch.as_strided(storage, size, stride, offset)
    if view.numel() > storage.numel():
        raise ValueError(f"a tensor of size {tuple(size)} is made of {storage.numel()} numbers")
    return view
