"""Weights that let no triangle stretch without bound: where a trial pose tears at the skin, neighbours share weights.

Slivers in the crotch and the armpits, where limbs nearly touch in the sculpting pose, hang between weights that part in
wide poses. Thirteen trial poses (squat, lunges, straddle, arms raised and crossed, twist, joints bent all the way) find
them.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from scipy.sparse import csr_array
from torch import Tensor

from avatargen.body.posing import joint_transforms, skin
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.core.values import RiggedMesh

LIMIT = 7.0
"""Growth of a triangle's area in a trial pose, from the rest pose, that is let be."""
_ROUNDS = 40
_WIDER = 8
"""Rounds after which one more ring of neighbours takes part."""
_TINY = 1e-8
"""Square metres; triangles below this are no surface."""

_TRIALS: tuple[dict[str, tuple[float, float, float]], ...] = (
    {"left_hip": (-110, 0, 12), "right_hip": (-110, 0, -12), "left_knee": (125, 0, 0), "right_knee": (125, 0, 0)},
    {"left_hip": (-85, 25, 35), "right_hip": (-85, -25, -35), "left_knee": (95, 0, 0), "right_knee": (95, 0, 0)},
    {"left_hip": (-95, 0, 5), "right_hip": (30, 0, -5), "left_knee": (95, 0, 0), "right_knee": (40, 0, 0)},
    {"left_hip": (30, 0, 5), "right_hip": (-95, 0, -5), "left_knee": (40, 0, 0), "right_knee": (95, 0, 0)},
    {"left_hip": (0, 0, 45), "right_hip": (0, 0, -45)},
    {
        "left_collar": (0, 0, 25),
        "right_collar": (0, 0, -25),
        "left_shoulder": (0, 0, 80),
        "right_shoulder": (0, 0, -80),
    },
    {
        "left_shoulder": (0, -95, 10),
        "right_shoulder": (0, 95, -10),
        "left_elbow": (0, -120, 0),
        "right_elbow": (0, 120, 0),
    },
    {"left_shoulder": (0, 40, 0), "right_shoulder": (0, -40, 0), "left_elbow": (0, -90, 0), "right_elbow": (0, 90, 0)},
    {
        "left_shoulder": (-97, -41, 23),
        "right_shoulder": (-97, 41, -23),
        "left_collar": (0, 0, 23),
        "right_collar": (0, 0, -23),
    },
    {"spine1": (10, 25, 15), "spine2": (10, 25, 15), "left_shoulder": (0, 0, 85), "left_collar": (0, 0, 20)},
    {"spine1": (10, -25, -15), "spine2": (10, -25, -15), "right_shoulder": (0, 0, -85), "right_collar": (0, 0, -20)},
    {
        **{
            "left_elbow": (30, -148, 0),
            "right_elbow": (30, 148, 0),
            "left_knee": (145, 0, 0),
            "right_knee": (145, 0, 0),
        },
        **{"neck": (15, 40, 0), "head": (15, 25, 0), "left_wrist": (0, 0, 65), "right_wrist": (0, 0, -65)},
        **{"left_ankle": (45, 0, 0), "right_ankle": (45, 0, 0)},
    },
    {
        **{"left_elbow": (-40, -130, 0), "right_elbow": (-40, 130, 0)},
        **{"neck": (-20, -40, 0), "head": (-15, -25, 0), "left_wrist": (0, 0, -65), "right_wrist": (0, 0, 65)},
        **{"left_ankle": (-35, 0, 0), "right_ankle": (-35, 0, 0)},
    },
)
"""Axis-angles in degrees on the T-pose."""


def calm_weights(
    weights: Float[np.ndarray, "v j"],
    unposed: Callable[[Float[np.ndarray, "v j"]], Float[np.ndarray, "v 3"]],
    faces: Integer[np.ndarray, "f 3"],
    joints: Float[np.ndarray, "j 3"],
    parents: tuple[int, ...],
    spread: csr_array,
    free: Bool[np.ndarray, " v"],
    trim: Callable[[Float[np.ndarray, "v j"]], Float[np.ndarray, "v j"]],
) -> Float[np.ndarray, "v j"]:
    """`weights` mixed with their neighbours', round by round, wherever a triangle grows beyond `LIMIT` in a trial pose.

    Args:
        weights: rows sum to one.
        unposed: weights to the rest pose they give, metres.
        faces: of the mesh.
        joints: of the rest pose, in SMPL's order; other skeletons are left alone.
        parents: of the joints.
        spread: row-stochastic matrix of the neighbours' shares.
        free: vertices whose weights may change.
        trim: brings mixed weights back to at most four per vertex.
    """
    if len(joints) != len(SMPL_JOINTS):
        return weights
    transforms = _trial_transforms(joints, parents)
    for number in range(_ROUNDS):
        bad = overstretched(unposed(weights), faces, weights, transforms) & free[faces].any(1)
        if not bad.any():
            break
        share = np.zeros(len(weights))
        share[faces[bad].reshape(-1)] = 1.0
        for ring in range(1 + number // _WIDER):
            share = np.maximum(share, 0.7 ** (ring + 1) * (spread @ share > 0))
        share = (0.8 * share * free)[:, None]
        weights = trim((1 - share) * weights + share * (spread @ weights))
    return weights


def overstretched(
    rest: Float[np.ndarray, "v 3"],
    faces: Integer[np.ndarray, "f 3"],
    weights: Float[np.ndarray, "v j"],
    transforms: Float[Tensor, "b j 4 4"],
) -> Bool[np.ndarray, " f"]:
    """Faces whose area grows beyond `LIMIT` in one of the poses."""
    before = _areas(rest, faces)
    points, shares = torch.from_numpy(rest), torch.from_numpy(weights)
    most = np.zeros(len(faces))
    for pose in transforms:
        most = np.maximum(most, _areas(skin(points, shares, pose[None])[0].numpy(), faces))
    return (most > LIMIT * before) & (most > _TINY)


def trial_poses(rigged: RiggedMesh) -> Float[np.ndarray, "p v 3"]:
    """The vertices in each trial pose, metres, without pose correctives; none for another skeleton than SMPL's."""
    points = rigged.mesh.vertices.astype(np.float64)
    if len(rigged.skeleton.names) != len(SMPL_JOINTS):
        return np.zeros((0, *points.shape))
    transforms = _trial_transforms(rigged.skeleton.joints, rigged.skeleton.parents)
    rest, shares = torch.from_numpy(points), torch.from_numpy(rigged.weights.astype(np.float64))
    return np.stack([skin(rest, shares, pose[None])[0].numpy() for pose in transforms])


def _trial_transforms(joints: Float[np.ndarray, "j 3"], parents: tuple[int, ...]) -> Float[Tensor, "b j 4 4"]:
    turns = np.zeros((len(_TRIALS), len(SMPL_JOINTS), 3))
    for row, trial in enumerate(_TRIALS):
        for name, degrees in trial.items():
            turns[row, SMPL_JOINTS.index(name)] = np.radians(degrees)
    rest = torch.from_numpy(joints.astype(np.float64))[None].expand(len(turns), -1, -1)
    return joint_transforms(rest, matrix_from_axis_angle(torch.from_numpy(turns)), parents)[1]


def _areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
