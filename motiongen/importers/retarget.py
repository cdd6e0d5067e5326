"""Any skeleton's motion onto SMPL's 24 joints.

Both skeletons are brought to the same T-pose by rotations `A_j` of the source's joints: none for a source that
rests in one, else the smallest turn of each limb bone onto the target's direction, after the whole skeleton was
turned to face +Z. The target's joint then takes the source's orientation relative to that pose,
`G_target = W G_source A^-1`, with W the file's world to ours (Y up). Since our rest frames are identities,
bone directions of limbs are kept exactly, while trunk and shoulder girdle keep the *target's* shape at rest.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from avatargen.core.errors import BrokenFileError, InputError
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.values import Motion
from motiongen.importers.bone_names import guess_bone_map, trunk_chains
from motiongen.importers.bvh import Bvh
from motiongen.kinematics import (
    JOINT,
    REFERENCE_JOINTS,
    local_rotations,
    positions_from_world,
    rotation_between,
    slerp,
    world_rotations,
)

_NOMINAL_LEG = 0.83  # hip to ankle of a 1.70 m adult
_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # ours from Z up

_LIMBS: dict[str, str] = {
    f"{side}_{bone}": f"{side}_{tip}"
    for side in ("left", "right")
    for bone, tip in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}
"""Limb bones whose rest direction is brought to the target's: joint and the joint at the bone's end."""


def _unit(vector: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _facing(
    rest: Float[np.ndarray, "j 3"], index: Mapping[str, int], chest: int, path: str
) -> Float[np.ndarray, "3 3"]:
    """The rotation that turns the resting source upright and to +Z; exactly a multiple of right angles if near one."""
    left = rest[index["left_hip"]] - rest[index["right_hip"]]
    up = rest[chest] - 0.5 * (rest[index["left_hip"]] + rest[index["right_hip"]])
    if np.linalg.norm(left) < 1e-6 or np.linalg.norm(up) < 1e-6:
        raise BrokenFileError(f"{path}: hips or spine have no length in the rest pose")
    x = _unit(left)
    if np.linalg.norm(np.cross(x, up)) < 1e-6 * np.linalg.norm(up):
        raise BrokenFileError(f"{path}: the spine lies along the line of the hips in the rest pose")
    z = _unit(np.cross(x, up))
    frame = np.stack([x, np.cross(z, x), z])
    snapped = np.zeros((3, 3))
    for row in range(3):
        column = int(np.abs(frame[row]).argmax())
        snapped[row, column] = np.sign(frame[row, column])
    near = abs(np.linalg.det(snapped) - 1) < 1e-6 and np.trace(snapped @ frame.T) > 1 + 2 * np.cos(np.radians(20))
    return snapped if near else frame


def _alignment(
    bvh: Bvh, index: Mapping[str, int], rest: np.ndarray, facing: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """World rotation `A_j` of each source joint that brings the rest pose into the T-pose. [j, 3, 3]."""
    smpl_of = {source: joint for joint, source in index.items()}
    align = np.tile(facing, (len(bvh.names), 1, 1))
    for joint, parent in enumerate(bvh.parents):
        base = align[parent] if parent >= 0 else facing
        align[joint] = base
        name = smpl_of.get(joint, "")
        if name in _LIMBS:
            direction = base @ (rest[index[_LIMBS[name]]] - rest[joint])
            if np.linalg.norm(direction) > 1e-9:
                wanted = target[JOINT[_LIMBS[name]]] - target[JOINT[name]]
                align[joint] = rotation_between(direction, wanted) @ base
        elif name.endswith("ankle") and name.replace("ankle", "foot") in index:
            direction = base @ (rest[index[name.replace("ankle", "foot")]] - rest[joint])
            flat = np.hypot(direction[0], direction[2])
            if flat > 1e-9 and abs(direction[0]) > 0.05 * flat:
                align[joint] = rotation_between(direction, np.array([0.0, direction[1], flat])) @ base
    return align


def _interpolate_chain(chain: Sequence[np.ndarray], at: float) -> np.ndarray:
    """Orientation `at` joints up a chain of orientations [t, 3, 3], of which the first is joint 0."""
    low = min(int(np.floor(at + 1e-9)), len(chain) - 1)
    rest = at - low
    return chain[low] if rest < 1e-6 else slerp(chain[low], chain[low + 1], rest)


def _trunk(bvh: Bvh, bones: Mapping[str, str], oriented: np.ndarray, out: np.ndarray) -> None:
    """Fill spine1..3, neck and head of `out` from the source's chains, however many joints they have."""
    at = {name: i for i, name in enumerate(bvh.names)}
    spine, neck = trunk_chains(bvh.names, bvh.parents, dict(bones))
    chain = [oriented[:, at[bones["pelvis"]]], *(oriented[:, at[name]] for name in spine)]
    for k in (1, 2, 3):
        out[:, JOINT[f"spine{k}"]] = _interpolate_chain(chain, (len(chain) - 1) * k / 3)
    chain = [chain[-1], *(oriented[:, at[name]] for name in neck)]
    out[:, JOINT["neck"]] = _interpolate_chain(chain, (len(chain) - 1) / 2)
    out[:, JOINT["head"]] = chain[-1]
    for joint in ("spine1", "spine2", "spine3", "neck", "head"):
        if joint in bones:
            out[:, JOINT[joint]] = oriented[:, at[bones[joint]]]


def _unit_scale(leg: float) -> float:
    """Metres per unit of the file, guessed from the hip-ankle length."""
    for scale in (1.0, 0.01, 0.001):
        if 0.45 <= leg * scale <= 1.3:
            return scale
    return _NOMINAL_LEG / leg


def retarget_bvh(
    bvh: Bvh,
    bones: Mapping[str, str] | None = None,
    joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS,
    name: str = "motion",
    up: str = "auto",
) -> Motion:
    """The motion of `bvh` on a body with rest `joints` (T-pose on y = 0); hips are scaled by leg length.

    Args:
        bvh: the file.
        bones: SMPL joint -> joint of the file; what it lacks is guessed from names.
        joints: rest joints of the body that is to move.
        name: name of the motion.
        up: "y", "z", or "auto": Z where the rest pose stands along Z.

    Raises:
        InputError: joints cannot be told by their names, or `bones` names one that is not there.
        BrokenFileError: the skeleton has no legs or hips to speak of.
    """
    bones = _complete_map(bvh, bones)
    at = {source: i for i, source in enumerate(bvh.names)}
    index = {joint: at[source] for joint, source in bones.items()}
    count = len(bvh.names)
    rest = positions_from_world(np.tile(np.eye(3), (1, count, 1, 1)), np.zeros((1, 3)), _rest(bvh), bvh.parents)[0]
    chest = max(at[n] for n in _chest(bvh, bones))
    facing = _facing(rest, index, chest, bvh.path)
    z_up = up == "z" or (up == "auto" and int(np.abs(facing[1]).argmax()) == 2)
    if z_up and facing[1, 2] < 0:
        z_up = False
    world_from_file = _Z_UP if z_up else np.eye(3)
    align = _alignment(bvh, index, rest, facing, joints)

    world = world_rotations(bvh.rotations, bvh.parents)
    oriented = world_from_file @ world @ np.swapaxes(align, -1, -2)
    target = np.tile(np.eye(3), (len(world), 24, 1, 1))
    for joint in SMPL_JOINTS:
        if joint in index:
            target[:, JOINT[joint]] = oriented[:, index[joint]]
    _trunk(bvh, bones, oriented, target)
    for joint, parent in enumerate(SMPL_PARENTS):
        hand = SMPL_JOINTS[joint] in ("left_hand", "right_hand")
        if parent >= 0 and (
            hand or (SMPL_JOINTS[joint] not in index and SMPL_JOINTS[joint].endswith(("foot", "collar")))
        ):
            target[:, joint] = target[:, parent]

    moving = _source_positions(bvh, world) @ world_from_file.T
    tpose = _tpose(bvh, align)
    ankles = [np.linalg.norm(tpose[index[f"{s}_hip"]] - tpose[index[f"{s}_ankle"]]) for s in ("left", "right")]
    if min(ankles) < 1e-6:
        raise BrokenFileError(f"{bvh.path}: the legs have no length")
    unit = _unit_scale(float(np.mean(ankles)))
    hips = [index["left_hip"], index["right_hip"]]
    source_leg = float(tpose[hips, 1].mean() - _lowest(bvh, tpose, align)) * unit
    if source_leg < 0.1 * unit * float(np.mean(ankles)):
        raise BrokenFileError(f"{bvh.path}: the legs do not stand on anything in the rest pose")
    target_hips = joints[[JOINT["left_hip"], JOINT["right_hip"]]].mean(0)
    scale = float(target_hips[1]) / source_leg
    root = moving[:, hips].mean(1) * unit * scale - target[:, 0] @ (target_hips - joints[0])
    return Motion(
        rotations=local_rotations(target),
        root_position=root,
        rest_root_height=float(joints[0, 1]),
        joint_names=SMPL_JOINTS,
        fps=1.0 / bvh.frame_time
        if abs(1.0 / bvh.frame_time - round(1.0 / bvh.frame_time)) > 0.02
        else float(round(1.0 / bvh.frame_time)),
        name=name,
    )


def _complete_map(bvh: Bvh, bones: Mapping[str, str] | None) -> dict[str, str]:
    given = dict(bones or {})
    for joint, source in given.items():
        if joint not in JOINT:
            raise InputError(f"bone map: {joint!r} is no SMPL joint (those are {', '.join(SMPL_JOINTS)})")
        if source not in bvh.names:
            raise InputError(f"bone map: {bvh.path} has no joint {source!r} (it has {', '.join(bvh.names)})")
    wanted = [
        j
        for j in SMPL_JOINTS
        if not j.startswith(("spine", "neck", "head")) and not j.endswith(("hand", "collar", "foot"))
    ]
    if all(joint in given for joint in wanted):
        return given
    return guess_bone_map(bvh.names, bvh.parents, bvh.path or "skeleton") | given


def _chest(bvh: Bvh, bones: Mapping[str, str]) -> list[str]:
    spine, _ = trunk_chains(bvh.names, bvh.parents, dict(bones))
    return [bones["left_shoulder"]] if not spine else [spine[-1]]


def _rest(bvh: Bvh) -> np.ndarray:
    """Rest positions; the root's own OFFSET does not matter."""
    positions = np.zeros_like(bvh.offsets)
    for joint, parent in enumerate(bvh.parents):
        if parent >= 0:
            positions[joint] = positions[parent] + bvh.offsets[joint]
    return positions


def _tpose(bvh: Bvh, align: np.ndarray) -> np.ndarray:
    positions = np.zeros_like(bvh.offsets)
    for joint, parent in enumerate(bvh.parents):
        if parent >= 0:
            positions[joint] = positions[parent] + align[parent] @ bvh.offsets[joint]
    return positions


def _lowest(bvh: Bvh, tpose: np.ndarray, align: np.ndarray) -> float:
    ends = [tpose[joint, 1] + float((align[joint] @ np.array(offset))[1]) for joint, offset in bvh.ends]
    return min([float(tpose[:, 1].min()), *ends])


def _source_positions(bvh: Bvh, world: np.ndarray) -> np.ndarray:
    positions = np.empty_like(bvh.translations)
    for joint, parent in enumerate(bvh.parents):
        if parent < 0:
            positions[:, joint] = bvh.translations[:, joint]
        else:
            moved = np.einsum("tij,tj->ti", world[:, parent], bvh.translations[:, joint])
            positions[:, joint] = positions[:, parent] + moved
    return positions


def resample(motion: Motion, fps: float) -> Motion:
    """The same motion at `fps` frames a second: orientations by slerp, the rest linearly."""
    frames = len(motion.rotations)
    if abs(motion.fps - fps) < 1e-6:
        return motion
    count = max(1, round((frames - 1) / motion.fps * fps) + 1)
    at = np.minimum(np.arange(count) * motion.fps / fps, frames - 1)
    low = np.minimum(at.astype(int), max(frames - 2, 0))
    high = np.minimum(low + 1, frames - 1)
    weight = at - low
    contacts = motion.contacts
    return Motion(
        rotations=slerp(motion.rotations[low], motion.rotations[high], np.repeat(weight[:, None], 24, 1)),
        root_position=motion.root_position[low] * (1 - weight[:, None]) + motion.root_position[high] * weight[:, None],
        rest_root_height=motion.rest_root_height,
        joint_names=motion.joint_names,
        fps=float(fps),
        name=motion.name,
        contacts=None if contacts is None else contacts[low] * (1 - weight[:, None]) + contacts[high] * weight[:, None],
    )


_MIRRORED = [JOINT[n.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")] for n in SMPL_JOINTS]
_FLIP = np.array([-1.0, 1.0, 1.0])


def mirror(motion: Motion) -> Motion:
    """The mirror image in the plane x = 0: left and right change places. Twice gives the same motion."""
    return Motion(
        rotations=motion.rotations[:, _MIRRORED] * np.outer(_FLIP, _FLIP),
        root_position=motion.root_position * _FLIP,
        rest_root_height=motion.rest_root_height,
        joint_names=motion.joint_names,
        fps=motion.fps,
        name=motion.name,
        contacts=None if motion.contacts is None else motion.contacts[:, ::-1].copy(),
    )
