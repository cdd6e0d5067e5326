"""Bone names of other programs: one table each in `data/`, from SMPL's joints; `docs/formats.md` shows them.

Only names change: joints stay where they are, and rest frames keep identity orientation.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from avatargen.core.errors import InputError
from avatargen.core.values import Motion, RiggedMesh

SKELETONS = ("smpl", "mixamo", "vrm", "unreal")
"""Names of the naming schemes; `smpl` is what everything has."""
_DATA = Path(__file__).with_name("data")


@dataclass(frozen=True, kw_only=True)
class BoneNames:
    """One naming scheme."""

    about: str
    armature: str
    """Name of the object that holds the bones where it matters (Unreal's `root`); empty: any."""
    bones: dict[str, str]
    """SMPL joint -> bone."""


@cache
def bone_names(skeleton: str) -> BoneNames:
    """The table of a naming scheme.

    Raises:
        InputError: there is no such scheme; the message names those there are.
    """
    if skeleton not in SKELETONS:
        raise InputError(f"unknown skeleton {skeleton!r}; use {', '.join(SKELETONS)}")
    if skeleton == "smpl":
        return BoneNames(about="SMPL's own joints", armature="", bones={})
    table = json.loads((_DATA / f"{skeleton}.json").read_text())
    return BoneNames(about=table["about"], armature=table["armature"], bones=table["bones"])


def renamed(rigged: RiggedMesh, motions: Sequence[Motion], skeleton: str) -> tuple[RiggedMesh, tuple[Motion, ...]]:
    """The avatar and its motions with the bones of `skeleton`; joints that the table lacks keep their names."""
    bones = bone_names(skeleton).bones
    names = tuple(bones.get(name, name) for name in rigged.skeleton.names)
    moved = tuple(
        replace(motion, joint_names=tuple(bones.get(name, name) for name in motion.joint_names)) for motion in motions
    )
    return replace(rigged, skeleton=replace(rigged.skeleton, names=names)), moved
