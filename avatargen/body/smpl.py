"""The user's licensed SMPL and SMPL-X files, read so that nothing in them can run.

`.npz` is read without pickle. `.pkl` goes through an unpickler that knows NumPy arrays, SciPy's sparse matrices and
chumpy's arrays (as inert stand-ins; neither SciPy's nor chumpy's code is called) and refuses everything else.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatargen.body.model import BodyModel
from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import digest_bytes
from avatargen.core.npz import read_npz
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.pickles import DataUnpickler

MAX_BETAS = 16
"""Files with 300 components carry far more detail than a text can name; the first ones hold nearly all of it."""

_AXES = {"v_template": 2, "shapedirs": 3, "posedirs": 3, "J_regressor": 2, "weights": 2, "kintree_table": 2, "f": 2}
_KEYS = tuple(_AXES)
_MAX_BYTES = 1 << 29
_LARGEST = 50_000_000
"""Numbers in a sparse matrix once it is dense; SMPL-X has 600 thousand."""
SITES = {"smpl": "https://smpl.is.tue.mpg.de", "smplx": "https://smpl-x.is.tue.mpg.de"}
_LICENCES = {
    "smpl": "SMPL model licence of the Max Planck Society (https://smpl.is.tue.mpg.de/modellicense)",
    "smplx": "SMPL-X model licence of the Max Planck Society (https://smpl-x.is.tue.mpg.de/modellicense)",
}
_ORIGINAL_NAMES = {
    "neutral": "basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl",
    "male": "basicmodel_m_lbs_10_207_0_v1.1.0.pkl",
    "female": "basicmodel_f_lbs_10_207_0_v1.1.0.pkl",
}


def load_smpl(folder: Path, gender: str) -> BodyModel:
    """SMPL with 24 joints and its pose correctives.

    Raises:
        MissingAssetError: no file for this gender; the message tells where to get it.
        BrokenFileError: the file is not an SMPL model, or holds something that may not be read.
    """
    path = find_file("smpl", folder, gender)
    data, version = _read(path)
    regressor, weights = data["J_regressor"], data["weights"]
    _check(path, "J_regressor", regressor.shape[0] == 24, f"has {regressor.shape[0]} joints, SMPL has 24")
    return _body("smpl", path, version, data, regressor, weights, data["posedirs"])


def load_smplx(folder: Path, gender: str) -> BodyModel:
    """SMPL-X as a body of SMPL's 24 joints.

    The body's 22 joints are SMPL-X's own. The four fingers of a hand turn about one joint at the mean of their
    knuckles; thumbs stay with the wrist, jaw and eyes with the head. While hands and face are at rest, vertices are
    those of SMPL-X with flat hands; finger poses, jaw, eyes and expressions are not represented.

    Raises:
        MissingAssetError: no file for this gender; the message tells where to get it.
        BrokenFileError: the file is not an SMPL-X model, or holds something that may not be read.
    """
    path = find_file("smplx", folder, gender)
    data, version = _read(path)
    full_regressor, full_weights = data["J_regressor"], data["weights"]
    _check(path, "J_regressor", full_regressor.shape[0] == 55, f"has {full_regressor.shape[0]} joints, SMPL-X has 55")
    _check(path, "weights", full_weights.shape[1] == 55, f"has {full_weights.shape[1]} joints, SMPL-X has 55")
    directions, count = data["posedirs"].shape, len(full_weights)
    _check(path, "posedirs", directions[:2] == (count, 3) and directions[2] >= 189, f"has shape {directions}")
    # SMPL-X: 22 jaw, 23-24 eyes; 25-39 left, 40-54 right: index, middle, pinky, ring, thumb with three joints each.
    weights = full_weights[:, :24].copy()
    weights[:, SMPL_JOINTS.index("head")] += full_weights[:, 22:25].sum(1)
    regressor = full_regressor[:24].copy()
    for hand, wrist, first in ((22, 20, 25), (23, 21, 40)):
        weights[:, hand] = full_weights[:, first : first + 12].sum(1)
        weights[:, wrist] += full_weights[:, first + 12 : first + 15].sum(1)
        regressor[hand] = full_regressor[first : first + 12 : 3].mean(0)
    correctives = np.zeros((len(weights), 3, 207))
    correctives[..., : 21 * 9] = data["posedirs"][..., : 21 * 9]
    shape_count = 300 if data["shapedirs"].shape[2] >= 400 else 10  # the rest are expressions
    data = {**data, "shapedirs": data["shapedirs"][..., :shape_count]}
    return _body("smplx", path, version, data, regressor, weights, correctives)


def find_file(kind: str, folder: Path, gender: str) -> Path:
    """The model file of `kind` (smpl | smplx) for `gender` in `folder`, under any of its usual names.

    Raises:
        MissingAssetError: there is none.
    """
    stem = f"{kind.upper()}_{gender.upper()}"
    names = [f"{kind}/{stem}.npz", f"{kind}/{stem}.pkl", f"{stem}.npz", f"{stem}.pkl"]
    if kind == "smpl":
        names += [f"smpl/{_ORIGINAL_NAMES[gender]}", _ORIGINAL_NAMES[gender]]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise MissingAssetError(
        f"{kind.upper()} model not found: {folder / names[0]} (or .pkl)\n"
        f"  Its licence does not let us ship it. Either\n"
        f"    - register at {SITES[kind]}, download the model and save the file there, or\n"
        f"    - use the open body: --body open"
    )


def _body(
    kind: str,
    path: Path,
    version: str,
    data: Mapping[str, np.ndarray],
    regressor: np.ndarray,
    weights: np.ndarray,
    correctives: np.ndarray,
) -> BodyModel:
    count = len(data["v_template"])
    directions = data["shapedirs"][..., :MAX_BETAS]
    _check(path, "v_template", data["v_template"].shape == (count, 3), f"has shape {data['v_template'].shape}")
    _check(path, "shapedirs", directions.ndim == 3 and directions.shape[:2] == (count, 3), "is not [v, 3, n]")
    _check(path, "posedirs", correctives.shape == (count, 3, 207), f"has shape {correctives.shape}, not [v, 3, 207]")
    _check(path, "weights", weights.shape == (count, 24), f"has shape {weights.shape}, not [v, joints]")
    _check(path, "J_regressor", regressor.shape == (24, count), f"has shape {regressor.shape}, not [joints, v]")
    parents = data["kintree_table"][0].astype(np.int64)[1:22]
    _check(path, "kintree_table", tuple(parents) == SMPL_PARENTS[1:22], "is not SMPL's tree")
    faces = data["f"].astype(np.int64)
    _check(
        path,
        "f",
        faces.ndim == 2 and int(faces.min()) >= 0 and int(faces.max()) < count,
        "names vertices that are not there",
    )

    def real(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    return BodyModel(
        kind=kind,
        version=version,
        licence=_LICENCES[kind],
        template=real(data["v_template"]),
        shape_directions=real(directions),
        pose_directions=real(correctives),
        joint_regressor=real(regressor),
        weights=real(weights),
        parents=SMPL_PARENTS,
        joint_names=SMPL_JOINTS,
        faces=torch.from_numpy(faces),
    )


def _check(path: Path, key: str, condition: bool, what: str) -> None:
    if not condition:
        raise BrokenFileError(f"{path}: {key} {what}\n  Download the file again from the model's own site.")


def _read(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """The needed arrays, dense, and the digest of the file."""
    raw = path.read_bytes()
    try:
        found = read_npz(path, _KEYS, _MAX_BYTES) if path.suffix == ".npz" else read_pickle(raw)
        data = {key: _dense(found[key]) for key in _KEYS}
    except KeyError as error:
        raise BrokenFileError(f"{path}: {error.args[0]!r} is missing; this is not a body model file") from error
    except BrokenFileError:
        raise
    except Exception as error:  # the unpickler and NumPy have a dozen kinds for what was cut off or altered
        raise BrokenFileError(f"{path} cannot be read: {error}") from error
    for key, array in data.items():
        _check(path, key, array.dtype.kind in "fiu", f"holds {array.dtype}, not numbers")
        _check(path, key, array.ndim == _AXES[key], f"has {array.ndim} axes, not {_AXES[key]}")
        _check(path, key, array.size > 0, "is empty")
        bad = int((~(np.abs(array) < 1e30)).sum())  # a float32 holds no more than 3e38
        _check(path, key, bad == 0, f"has {bad} values that are not finite numbers")
    return data, digest_bytes(raw)


def _dense(value: Any) -> np.ndarray:
    """A plain numeric array from an array, a sparse matrix or a chumpy array."""
    match value:
        case _ChumpyArray():
            return _dense(value.state["x"])
        case _SparseColumns() | _StoredArray():
            return value.dense()
        case np.ndarray() if value.dtype != object:
            return value.astype(np.float64) if value.dtype.kind == "f" else value
        case _:
            raise ValueError(f"expected a numeric array, found {type(value).__name__}")


class _Inert:
    """Keeps what a pickle says about an object, and does nothing."""

    def __init__(self, *_ignored: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state) if isinstance(state, dict) else {}


class _ChumpyArray(_Inert):
    pass


class _SparseColumns(_Inert):
    def dense(self) -> np.ndarray:
        """Column-compressed data as a dense array."""
        rows, columns = (int(n) for n in self.state.get("_shape") or self.state["shape"])
        starts, inside, numbers = (_dense(self.state[key]) for key in ("indptr", "indices", "data"))
        counts = np.diff(starts)
        if len(counts) != columns or (counts < 0).any() or counts.sum() != len(inside) or rows * columns > _LARGEST:
            raise ValueError(f"{len(inside)} entries do not make a sparse matrix of {rows} x {columns}")
        out = np.zeros((rows, columns))
        np.add.at(out, (inside, np.repeat(np.arange(columns), counts)), numbers)
        return out


class _StoredType(_Inert):
    """Stands for `numpy.dtype`: a code as f8, and the order of bytes in the state."""

    def __init__(self, code: str = "", *_ignored: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def plain(self) -> np.dtype:
        """The type, if it is one of plain numbers: NumPy is given no other, since it trusts what it is given."""
        if not re.fullmatch(r"[fiub][1248]", self.code) or self.order not in "<>=|":
            raise ValueError(f"expected numbers, found the type {self.code[:20]!r}")
        return np.dtype(self.order + self.code)


class _StoredArray(_Inert):
    """Stands for `numpy.ndarray`: keeps the bytes, which become numbers only where an array is needed."""

    def __setstate__(self, state: Any) -> None:
        *_, shape, dtype, by_columns, data = state
        self.shape, self.dtype, self.by_columns, self.data = shape, dtype, by_columns, data

    def dense(self) -> np.ndarray:
        """The array; floats in double precision."""
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        numbers = np.frombuffer(data, dtype=self.dtype.plain())
        return _dense(numbers.reshape(self.shape, order="F" if self.by_columns else "C"))


def _reconstruct_inert(cls: type, _base: type, _state: Any) -> Any:
    """Stands for `copyreg._reconstructor`, which old pickles use to make plain objects."""
    if not issubclass(cls, _Inert):
        raise pickle.UnpicklingError("the file makes an object of a kind that a body model does not need")
    return cls()


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """Stands for `_codecs.encode`, by which Python 3 writes bytes into old pickles."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected text encoding {encoding!r}")
    return text.encode("latin1")


def _stored(shape: Any, dtype: Any, by_columns: Any, data: Any) -> _StoredArray:
    array = _StoredArray()
    array.__setstate__((shape, dtype, by_columns, data))
    return array


def _numpy_names() -> dict[tuple[str, str], Any]:
    names: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _StoredArray, ("numpy", "dtype"): _StoredType}
    for package in ("numpy.core", "numpy._core"):
        names[f"{package}.multiarray", "_reconstruct"] = _StoredArray
        names[f"{package}.multiarray", "scalar"] = lambda dtype, data=b"": _stored((), dtype, False, data)
        names[f"{package}.numeric", "_frombuffer"] = lambda data, dtype, shape, order: _stored(
            shape, dtype, order == "F", data
        )
    return names


_KNOWN_NAMES: dict[tuple[str, str], Any] = {
    **_numpy_names(),
    ("copy_reg", "_reconstructor"): _reconstruct_inert,
    ("copyreg", "_reconstructor"): _reconstruct_inert,
    ("_codecs", "encode"): _encode_latin1,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
}


class _Guarded(DataUnpickler):
    """Resolves the few names a body model file needs; any other name is refused before anything happens."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in or the harmless original of a name.

        Raises:
            pickle.UnpicklingError: any name outside the list.
        """
        if module_name.split(".")[0] == "chumpy":
            return _ChumpyArray
        if module_name.startswith("scipy.sparse") and global_name in ("csc_matrix", "csc_array"):
            return _SparseColumns
        try:
            return _KNOWN_NAMES[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}, which a body model has no use for; nothing was run"
            ) from None


def read_pickle(raw: bytes) -> dict[str, Any]:
    """The dictionary of a `.pkl` model file, with stand-ins for sparse and chumpy arrays.

    Raises:
        pickle.UnpicklingError: not such a file, or it names anything beyond arrays.
    """
    found = _Guarded(raw).load()
    if not isinstance(found, dict):
        raise pickle.UnpicklingError("it does not hold a dictionary")
    return found
