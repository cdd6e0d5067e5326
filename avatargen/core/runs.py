"""The folder of one run: its name, and what its finished stages left for `--resume`."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from avatargen.core.errors import BrokenFileError, InputError
from avatargen.core.files import load_tensors, save_tensors, write_whole
from avatargen.core.locks import Hold
from avatargen.core.progress import Reporter
from avatargen.core.stopping import left
from avatargen.core.values import Mesh, Motion, RiggedMesh, Shape, Skeleton

MAX_TEXT = 1000
_SLUG_LENGTH = 60
T = TypeVar("T")
Stored = tuple[dict[str, torch.Tensor], dict[str, Any]]


def check_text(what: str, text: str | None) -> str | None:
    """The text with its white space tidied.

    Raises:
        InputError: nothing of it can be seen, it is longer than `MAX_TEXT` characters, or holds control characters.
    """
    if text is None:
        return None
    tidy = " ".join(text.split())
    kinds = {unicodedata.category(c) for c in tidy[: MAX_TEXT + 1]}
    if not kinds - {"Cf", "Cn", "Co", "Mc", "Me", "Mn", "Zs"}:
        raise InputError(f"--{what} is empty; leave it out, or say what you want, e.g. --{what} {_EXAMPLES[what]!r}")
    if len(tidy) > MAX_TEXT:
        raise InputError(f"--{what} has {len(tidy)} characters; at most {MAX_TEXT} are understood")
    if kinds & {"Cc", "Cs"}:
        raise InputError(f"--{what} holds control characters; use plain text")
    return tidy


_EXAMPLES = {"shape": "tall", "appearance": "Saitama", "motion": "punching", "describe": "a man in a red coat"}


def slug(*texts: str | None) -> str:
    """A short folder name made of the texts: letters, digits and hyphens only, never empty.

    Texts that lose characters on the way get a digest, so that different texts never share a folder.
    """
    whole = " ".join(text for text in texts if text)
    plain = unicodedata.normalize("NFKD", whole).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    lossy = len(name) > _SLUG_LENGTH or not name or not whole.isascii()
    if lossy:
        digest = hashlib.blake2b(whole.encode(), digest_size=3).hexdigest()
        name = f"{name[:_SLUG_LENGTH].strip('-')}-{digest}".strip("-")
    return name


def avatar_name(texts: Mapping[str, str | None]) -> str:
    """What the avatar of a run is called inside its files."""
    return slug(*texts.values()) if any(texts.values()) else "avatar"


def finished_stage(
    hold: Hold,
    name: str,
    key: str,
    *,
    resume: bool,
    make: Callable[[], T],
    pack: Callable[[T], Stored],
    unpack: Callable[[dict[str, torch.Tensor], dict[str, Any]], T],
    reporter: Reporter,
) -> tuple[T, str]:
    """The stage's result: read from the folder if it was made from the same inputs (`key`), else made and kept.

    Returns:
        The result, and the key it is kept under: another one where the stage was stopped early, so that a later run
        makes it again.

    Raises:
        OutputError: the folder is gone or cannot be written.
    """
    hold.check()
    path = hold.folder / ".work" / f"{name}.safetensors"
    if resume and path.exists():
        try:
            tensors, metadata = load_tensors(path)
            if metadata.get("key") == key:
                reporter.note(f"{name}: taken from {path}")
                return unpack(tensors, json.loads(metadata["extra"])), key
        except (BrokenFileError, KeyError, ValueError) as error:
            reporter.note(f"{name}: {path} cannot be used ({str(error).splitlines()[0]}); making it again")
    undone = left()
    value = make()
    hold.check()
    kept_as = key if left() == undone else f"unfinished-{key}"
    tensors, extra = pack(value)
    save_tensors(path, tensors, {"key": kept_as, "extra": json.dumps(extra)})
    return value, kept_as


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def pack_shape(shape: Shape) -> Stored:
    """A shape, without its runner-ups' runner-ups, as tensors and plain values."""
    extra = {"body": shape.body, "score": shape.score, "measures": shape.measures}
    tensors = {"betas": _tensor(shape.betas)}
    if shape.candidates:
        tensors["candidates"] = _tensor(np.stack([c.betas for c in shape.candidates]))
        extra["candidates"] = [[c.score, c.measures] for c in shape.candidates]
    return tensors, extra


def unpack_shape(tensors: dict[str, torch.Tensor], extra: dict[str, Any]) -> Shape:
    """What `pack_shape` packed."""
    rows = [] if "candidates" not in tensors else list(tensors["candidates"].numpy())
    others = tuple(
        Shape(betas=betas, body=extra["body"], score=score, measures=measures)
        for betas, (score, measures) in zip(rows, extra.get("candidates", []), strict=True)
    )
    return Shape(
        betas=tensors["betas"].numpy(),
        body=extra["body"],
        score=extra["score"],
        measures=extra["measures"],
        candidates=others,
    )


def pack_rigged(rigged: RiggedMesh) -> Stored:
    """A rigged mesh as tensors and plain values."""
    mesh = rigged.mesh
    arrays = {
        "vertices": mesh.vertices,
        "faces": mesh.faces,
        "uvs": mesh.uvs,
        "uv_faces": mesh.uv_faces,
        "texture": mesh.texture,
        "normal_map": mesh.normal_map,
        "occlusion": mesh.occlusion,
        "vertex_colors": mesh.vertex_colors,
        "joints": rigged.skeleton.joints,
        "weights": rigged.weights,
    }
    extra = {"names": list(rigged.skeleton.names), "parents": list(rigged.skeleton.parents)}
    return {name: _tensor(array) for name, array in arrays.items() if array is not None}, extra


def unpack_rigged(tensors: dict[str, torch.Tensor], extra: dict[str, Any]) -> RiggedMesh:
    """What `pack_rigged` packed."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    joints, weights = arrays.pop("joints"), arrays.pop("weights")
    skeleton = Skeleton(names=tuple(extra["names"]), parents=tuple(extra["parents"]), joints=joints)
    return RiggedMesh(mesh=Mesh(**arrays), skeleton=skeleton, weights=weights)


def pack_motion(motion: Motion) -> Stored:
    """A motion as tensors and plain values."""
    tensors = {"rotations": _tensor(motion.rotations), "root_position": _tensor(motion.root_position)}
    if motion.contacts is not None:
        tensors["contacts"] = _tensor(motion.contacts)
    extra = {
        "rest_root_height": float(motion.rest_root_height),
        "joint_names": list(motion.joint_names),
        "fps": float(motion.fps),
        "name": motion.name,
    }
    return tensors, extra


def unpack_motion(tensors: dict[str, torch.Tensor], extra: dict[str, Any]) -> Motion:
    """What `pack_motion` packed."""
    contacts = tensors.get("contacts")
    return Motion(
        rotations=tensors["rotations"].numpy(),
        root_position=tensors["root_position"].numpy(),
        contacts=None if contacts is None else contacts.numpy(),
        rest_root_height=extra["rest_root_height"],
        joint_names=tuple(extra["joint_names"]),
        fps=extra["fps"],
        name=extra["name"],
    )


def write_json(path: Path, value: Any) -> Path:
    """Write `value` as readable JSON, whole or not at all."""
    return write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n").encode())
