"""Could somebody move like that, on this avatar's legs?"""

import itertools
from dataclasses import replace

import numpy as np

from avatargen.core.values import Motion, RiggedMesh
from motiongen.kinematics import positions_from_world, world_rotations
from motiongen.physics import physics_report


def motion_report(motion: Motion, avatar: RiggedMesh) -> dict[str, float | int]:
    """`motiongen`'s physical measures of the motion on the avatar's own joints, and the gap where it would loop.

    `loop_gap` is the mean distance in metres between the joints of the last frame and the first, the root's place on
    the floor left out; `smooth_gap` the same between neighbouring frames, to compare with.
    """
    joints = avatar.skeleton.joints.astype(np.float32)
    placed = replace(motion, root_position=motion.root_position.copy())
    found = {name: round(float(value), 4) for name, value in physics_report(placed, joints).items()}
    points = positions_from_world(world_rotations(motion.rotations), motion.root_position, joints)
    points = points - motion.root_position[:, None] * np.array([1.0, 0.0, 1.0])
    gap = np.linalg.norm(points[-1] - points[0], axis=-1).mean()
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean() if len(points) > 1 else 0.0
    return found | {"loop_gap": round(float(gap), 4), "smooth_gap": round(float(step), 4)}


def pairwise_distance(motions: list[Motion], avatars: list[RiggedMesh]) -> float | None:
    """Mean distance of joints in metres over all pairs of motions, frame by frame; None for fewer than two."""
    if len(motions) < 2:
        return None
    joints = avatars[0].skeleton.joints.astype(np.float32)
    frames = min(len(m.rotations) for m in motions)
    points = []
    for motion in motions:
        at = positions_from_world(world_rotations(motion.rotations[:frames]), motion.root_position[:frames], joints)
        points.append(at - motion.root_position[:frames, None] * np.array([1.0, 0.0, 1.0]))
    pairs = itertools.combinations(points, 2)
    gaps = [np.linalg.norm(one - other, axis=-1).mean() for one, other in pairs]
    return round(float(np.mean(gaps)), 4)
