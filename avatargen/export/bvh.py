"""BVH of a motion on an avatar's own skeleton.

Metres, Y up, facing +Z, the floor at y = 0. Every joint has the channels `Zrotation Xrotation Yrotation`,
R = Rz Rx Ry on column vectors, in degrees; the root alone has position channels before them, which hold its place
in the world, and its OFFSET is zero, so that readers that add OFFSET and readers that replace it agree. All angles
zero is the T-pose. Joints carry the names that Mixamo and CMU files share (`Hips`, `LeftUpLeg`, ...).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from avatargen.body.skeleton import BVH_FROM_SMPL
from avatargen.core.values import Motion, Skeleton

_NAMES = {**BVH_FROM_SMPL, "left_hand": "LeftHandMiddle1", "right_hand": "RightHandMiddle1"}
_ENDS = {"head": (0.0, 0.17, 0.0), "left_hand": (0.08, 0.0, 0.0), "right_hand": (-0.08, 0.0, 0.0)}


def _end_site(skeleton: Skeleton, joint: int) -> tuple[float, float, float]:
    """Tip of the head, hand or toes; toes end on the floor, so that readers can tell how high the body stands."""
    name = skeleton.names[joint]
    if name.endswith("_foot"):
        return 0.0, -max(float(skeleton.joints[joint, 1]), 0.0), 0.06
    return _ENDS.get(name, (0.0, 0.1, 0.0))


def angles_zxy(rotations: Float[np.ndarray, "t 3 3"]) -> Float[np.ndarray, "t 3"]:
    """Angles (z, x, y) in radians with R = Rz Rx Ry, without jumps over time: they run on past half a turn."""
    r = rotations
    x = np.arctan2(r[:, 2, 1], np.hypot(r[:, 2, 0], r[:, 2, 2]))
    z = np.arctan2(-r[:, 0, 1], r[:, 1, 1])
    y = np.arctan2(-r[:, 2, 0], r[:, 2, 2])
    # At x = +-90 degrees z and y turn about one axis: give all of it to z.
    locked = np.hypot(r[:, 2, 0], r[:, 2, 2]) < 1e-7
    z = np.where(locked, np.arctan2(r[:, 1, 0], r[:, 0, 0]), z)
    y = np.where(locked, 0.0, y)
    first = np.stack([z, x, y], axis=-1)
    second = np.stack([z + np.pi, np.pi - x, y + np.pi], axis=-1)
    out = first.copy()
    for t in range(1, len(out)):
        choices = [c[t] + 2 * np.pi * np.round((out[t - 1] - c[t]) / (2 * np.pi)) for c in (first, second)]
        out[t] = min(choices, key=lambda c: float(np.abs(c - out[t - 1]).sum()))
    return out


def _children(skeleton: Skeleton) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in skeleton.names]
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            children[parent].append(joint)
    return children


def _triple(values: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(f"{float(v) + 0.0:.6f}" for v in values)


def encode_bvh(motion: Motion, skeleton: Skeleton, names: Mapping[str, str] | None = None) -> bytes:
    """The motion on `skeleton` as a BVH file; joints that the motion lacks stay at rest.

    `names` (joint -> name in the file) takes the place of the common names; both skeleton and motion keep theirs.

    The root's place is scaled by the skeleton's root height over the motion's, as all writers do. Read back, angles
    agree within 1e-6 rad and places within 1e-6 m.
    """
    called = {**_NAMES, **(names or {})}
    children = _children(skeleton)
    order: list[int] = []
    lines = ["HIERARCHY"]

    def write(joint: int, depth: int) -> None:
        pad = "  " * depth
        order.append(joint)
        name = skeleton.names[joint]
        parent = skeleton.parents[joint]
        offset = np.zeros(3) if parent < 0 else skeleton.joints[joint] - skeleton.joints[parent]
        rotations = "Zrotation Xrotation Yrotation"
        lines.append(f"{pad}{'ROOT' if parent < 0 else 'JOINT'} {called.get(name, name)}")
        lines.append(f"{pad}{{")
        lines.append(f"{pad}  OFFSET {_triple(offset)}")
        channels = f"6 Xposition Yposition Zposition {rotations}" if parent < 0 else f"3 {rotations}"
        lines.append(f"{pad}  CHANNELS {channels}")
        for child in children[joint]:
            write(child, depth + 1)
        if not children[joint]:
            end = _triple(_end_site(skeleton, joint))
            lines.extend((f"{pad}  End Site", f"{pad}  {{", f"{pad}    OFFSET {end}", f"{pad}  }}"))
        lines.append(f"{pad}}}")

    write(0, 0)
    frames = len(motion.rotations)
    place = motion.root_position * (float(skeleton.joints[0, 1]) / motion.rest_root_height)
    columns: list[np.ndarray] = [place]
    for joint in order:
        name = skeleton.names[joint]
        if name in motion.joint_names:
            turns = motion.rotations[:, motion.joint_names.index(name)].astype(float)
            columns.append(np.degrees(angles_zxy(turns)))
        else:
            columns.append(np.zeros((frames, 3)))
    table = np.concatenate(columns, axis=1) + 0.0
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / motion.fps:.9f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table]
    return ("\n".join(lines) + "\n").encode("ascii")
