"""From a puppet's controls to joint rotations: pelvis and spine forwards, arms and legs by two-bone IK.

Controls are arrays over time; angles in degrees, lengths in metres on `REFERENCE_JOINTS`. Hands are given
from their own shoulder in the chest's frame as (out, up, forward), so that both sides read alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.values import Motion
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, local_rotations, matrix_from_rotvec, rotvec_from_matrix, slerp

_SIDES = (("left", "l", 1.0), ("right", "r", -1.0))
_J = REFERENCE_JOINTS


@dataclass(frozen=True)
class Control:
    """One control: how many numbers, and what it is when nothing is said."""

    width: int
    neutral: tuple[float, ...]


CONTROLS: Mapping[str, Control] = {
    "pelvis": Control(3, (0.0, -0.008, 0.0)),  # left, up, forward from the rest place
    "pelvis_turn": Control(3, (0.0, 0.0, 0.0)),  # pitch (forward), yaw (to the left), roll (to the right)
    "spine": Control(3, (1.0, 0.0, 0.0)),  # spread over spine1..3
    "head": Control(3, (2.0, 0.0, 0.0)),  # spread over neck and head, on top of the spine
    **{f"hand_{s}": Control(3, (0.075, -0.474, 0.035)) for s in "lr"},  # wrist from the shoulder: out, up, forward
    **{f"elbow_{s}": Control(3, (0.45, -0.6, -0.7)) for s in "lr"},  # where the elbow points: out, up, forward
    **{f"fingers_{s}": Control(3, (0.0, 0.0, 0.0)) for s in "lr"},  # where fingers point; zeros: along the forearm
    **{f"palm_{s}": Control(3, (0.0, 0.0, 0.0)) for s in "lr"},  # where the palm faces; zeros: as the forearm has it
    **{f"collar_{s}": Control(2, (0.0, 0.0)) for s in "lr"},  # raised, forward
    **{f"face_{s}": Control(1, (0.0,)) for s in "lr"},  # 1: the hand goes with the head, 0: with the chest
    **{f"world_{s}": Control(1, (0.0,)) for s in "lr"},  # 1: the hand stays where it would be on the standing body
    **{
        f"foot_{s}": Control(3, (0.02, 0.0, 0.0)) for s in "lr"
    },  # ball of the foot from its rest place: out, up, forward
    **{f"foot_turn_{s}": Control(2, (0.0, 9.0)) for s in "lr"},  # heel raised about the ball, toes turned out
    **{f"knee_{s}": Control(1, (0.15,)) for s in "lr"},  # where the knee points besides forward: out
    "heading": Control(1, (0.0,)),  # turns everything about the vertical through the origin, to the left
    "place": Control(3, (0.0, 0.0, 0.0)),  # then moves everything
}


def _normal(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _apply(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.einsum("...ij,...j->...i", matrix, vector)


def _turn(degrees: np.ndarray) -> np.ndarray:
    """Yaw about y, then pitch about x, then roll about z, of (pitch, yaw, roll) in degrees. [t, 3, 3]."""
    pitch, yaw, roll = np.radians(degrees).T
    zero = np.zeros_like(pitch)
    about = (np.stack(v, -1) for v in ((zero, yaw, zero), (pitch, zero, zero), (zero, zero, roll)))
    first, second, third = (matrix_from_rotvec(v) for v in about)
    return first @ second @ third


def _fraction(degrees: np.ndarray, share: float) -> np.ndarray:
    return matrix_from_rotvec(rotvec_from_matrix(_turn(degrees)) * share)


def _limb(
    start: np.ndarray, target: np.ndarray, pole: np.ndarray, upper: float, lower: float, soft: bool
) -> tuple[np.ndarray, ...]:
    """Directions of upper and lower bone and the hinge axis that put the tip at `target`, the middle towards `pole`.

    A `soft` limb straightens ever more slowly from nine tenths of its length on: an elbow would snap otherwise.
    """
    way = target - start
    length = np.linalg.norm(way, axis=-1)
    stretch = length / (upper + lower)
    if soft:
        beyond = np.maximum(stretch - 0.9, 0)
        stretch = np.where(stretch > 0.9, 0.9 + 0.097 * (1 - np.exp(-beyond / 0.097)), stretch)
    reach = np.clip(stretch * (upper + lower), abs(upper - lower) + 0.01, (upper + lower) * 0.9985)
    along = way / np.maximum(length, 1e-9)[:, None]
    aside = _normal(pole - (pole * along).sum(-1, keepdims=True) * along)
    cosine = np.clip((upper**2 + reach**2 - lower**2) / (2 * upper * reach), -1, 1)
    first = along * cosine[:, None] + aside * np.sqrt(1 - cosine**2)[:, None]
    second = _normal(along * reach[:, None] - first * upper)
    hinge = _normal(np.cross(aside, along))  # equals cross(first, second), also for a straight limb
    return first, second, hinge


def _frame(rest_bone: np.ndarray, rest_hinge: np.ndarray, bone: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """The rotations that take the rest bone and hinge to those given. [t, 3, 3]."""
    rest = np.stack([rest_bone, rest_hinge, np.cross(rest_bone, rest_hinge)], axis=-1)
    now = np.stack([bone, hinge, np.cross(bone, hinge)], axis=-1)
    return now @ rest.T


def _arm(side: tuple[str, str, float], c: Mapping[str, np.ndarray], world: np.ndarray, at: np.ndarray) -> None:
    name, s, sign = side
    flip = np.array([sign, 1.0, 1.0])
    collar, shoulder, elbow, wrist = (JOINT[f"{name}_{p}"] for p in ("collar", "shoulder", "elbow", "wrist"))
    chest, head = JOINT["spine3"], JOINT["head"]
    hand = c[f"hand_{s}"]
    arm = float(_J[wrist] @ np.array([sign, 0, 0]) - _J[shoulder] @ np.array([sign, 0, 0]))
    # The collar bone rises with the arm and follows it forwards, as shoulder blades do.
    lift = 24 * np.clip(hand[:, 1] / arm + 0.15, 0, 1) ** 1.3 + c[f"collar_{s}"][:, 0]
    forward = (
        14 * np.clip(hand[:, 2] / arm - 0.35, 0, 1) + 10 * np.clip(-hand[:, 0] / arm, 0, 1) + c[f"collar_{s}"][:, 1]
    )
    turn = np.stack([np.zeros_like(lift), -sign * forward, sign * lift], -1)
    world[:, collar] = world[:, chest] @ _turn(turn)
    at[:, collar] = at[:, chest] + _apply(world[:, chest], _J[collar] - _J[chest])
    at[:, shoulder] = at[:, collar] + _apply(world[:, collar], _J[shoulder] - _J[collar])

    point = _J[shoulder] + hand * flip
    goal = at[:, chest] + _apply(world[:, chest], point - _J[chest])
    by_head = at[:, head] + _apply(world[:, head], point - _J[head])
    goal = goal + c[f"face_{s}"] * (by_head - goal)
    goal = goal + c[f"world_{s}"] * (point - goal)
    pole = _apply(world[:, chest], c[f"elbow_{s}"] * flip)
    first, second, hinge = _limb(
        at[:, shoulder],
        goal,
        pole,
        float(np.linalg.norm(_J[elbow] - _J[shoulder])),
        float(np.linalg.norm(_J[wrist] - _J[elbow])),
        soft=True,
    )
    bone, axis = np.array([sign, 0.0, 0.0]), np.array([0.0, -sign, 0.0])
    world[:, shoulder] = _frame(bone, axis, first, hinge)
    straight = _frame(bone, axis, second, hinge)
    at[:, elbow] = at[:, shoulder] + _apply(world[:, shoulder], _J[elbow] - _J[shoulder])
    at[:, wrist] = at[:, elbow] + _apply(straight, _J[wrist] - _J[elbow])
    palm_turn = _hand(c, s, flip, bone, world[:, chest], straight)
    # The forearm's two bones carry two thirds of a twist, the wrist the rest.
    twist = _twist_about(np.swapaxes(straight, -1, -2) @ palm_turn, bone)
    world[:, elbow] = straight @ matrix_from_rotvec(0.65 * twist[:, None] * bone)
    world[:, wrist] = palm_turn
    world[:, JOINT[f"{name}_hand"]] = palm_turn


def _twist_about(relative: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Angle of the turn about `axis` in rotations [t, 3, 3], unwrapped over time."""
    side = np.array([0.0, 1.0, 0.0])
    other = np.cross(axis, side)
    moved = relative @ side
    return np.unwrap(np.arctan2(moved @ other, moved @ side))


def _hand(
    c: Mapping[str, np.ndarray], s: str, flip: np.ndarray, bone: np.ndarray, chest: np.ndarray, forearm: np.ndarray
) -> np.ndarray:
    """World orientation of the hand: along the forearm, then as far as asked towards given fingers and palm."""
    plain_fingers = forearm @ bone
    plain_palm = forearm @ np.array([0.0, -1.0, 0.0])
    fingers, palm = c[f"fingers_{s}"], c[f"palm_{s}"]
    ask_fingers = np.minimum(np.linalg.norm(fingers, axis=-1, keepdims=True), 1.0)
    ask_palm = np.minimum(np.linalg.norm(palm, axis=-1, keepdims=True), 1.0)
    along = _normal(plain_fingers * (1 - ask_fingers) + _apply(chest, fingers * flip))
    # A wrist bends 75 degrees at most.
    cosine = (along * plain_fingers).sum(-1, keepdims=True)
    aside = _normal(along - cosine * plain_fingers)
    along = np.where(cosine < 0.26, plain_fingers * 0.26 + aside * 0.966, along)
    facing = _normal(plain_palm * (1 - ask_palm) + _apply(chest, palm * flip))
    facing = _normal(facing - (facing * along).sum(-1, keepdims=True) * along)
    return _frame(bone, np.array([0.0, -1.0, 0.0]), along, facing)


def _leg(side: tuple[str, str, float], c: Mapping[str, np.ndarray], world: np.ndarray, at: np.ndarray) -> None:
    name, s, sign = side
    hip, knee, ankle, foot = (JOINT[f"{name}_{p}"] for p in ("hip", "knee", "ankle", "foot"))
    at[:, hip] = at[:, 0] + _apply(world[:, 0], _J[hip] - _J[0])
    flat, sole, goal = _foot(side, c)
    ahead = flat @ np.array([0.0, 0.0, 1.0])
    pole = (
        ahead
        + 0.3 * world[:, 0] @ np.array([0.0, 0.0, 1.0])
        + c[f"knee_{s}"] * (world[:, 0] @ np.array([sign, 0.0, 0.0]))
    )
    first, second, hinge = _limb(
        at[:, hip],
        goal,
        pole,
        float(np.linalg.norm(_J[knee] - _J[hip])),
        float(np.linalg.norm(_J[ankle] - _J[knee])),
        soft=False,
    )
    bone, axis = np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    world[:, hip] = _frame(bone, axis, first, hinge)
    world[:, knee] = _frame(bone, axis, second, hinge)
    world[:, ankle] = sole
    # Toes stay flat while the heel rises on the ball of a standing foot; off the ground they go with the foot.
    up = np.clip(c[f"foot_{s}"][:, 1] / 0.05, 0, 1)
    world[:, foot] = slerp(np.where((c[f"foot_turn_{s}"][:, 0] > 0)[:, None, None], flat, sole), sole, up)


def _foot(side: tuple[str, str, float], c: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level orientation of the foot, its own orientation, and the ankle's place."""
    name, s, sign = side
    ankle, foot = JOINT[f"{name}_ankle"], JOINT[f"{name}_foot"]
    pitch, out = c[f"foot_turn_{s}"].T
    zero = np.zeros_like(pitch)
    flat = _turn(np.stack([zero, sign * out, zero], -1))
    sole = flat @ _turn(np.stack([pitch, zero, zero], -1))
    ball = _J[foot] + c[f"foot_{s}"] * np.array([sign, 1.0, 1.0])
    # Toes turned out at the start turn about the ankle, so the stance keeps its width; later turns pivot on the ball.
    ball = ball + (flat[0] - np.eye(3)) @ np.array([0.0, 0.0, _J[foot][2] - _J[ankle][2]])
    # A tilted foot rests on its heel or, in the air, on its tips: neither may go through the floor.
    height = _J[foot][1]
    heel = sole @ (np.array([0.0, 0.0, _J[ankle][2] - _J[foot][2] - 0.055]) - [0, height, 0])
    tip = np.clip(c[f"foot_{s}"][:, 1] / 0.05, 0, 1) * np.minimum(
        (sole @ np.array([0.0, -height, 0.06]))[:, 1] + height, 0
    )
    lift = np.maximum(0.0, -(c[f"foot_{s}"][:, 1] + np.minimum(heel[:, 1] + height, tip)))
    ball = ball + lift[:, None] * np.array([0.0, 1.0, 0.0])
    return flat, sole, ball + _apply(sole, _J[ankle] - _J[foot])


def _lowered(c: Mapping[str, np.ndarray], root: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The pelvis lowered as far as both feet need to stay where they are meant to be."""
    down = np.zeros(len(root))
    for side in _SIDES:
        name = side[0]
        hip, knee, ankle = (JOINT[f"{name}_{p}"] for p in ("hip", "knee", "ankle"))
        leg = 0.9985 * float(np.linalg.norm(_J[knee] - _J[hip]) + np.linalg.norm(_J[ankle] - _J[knee]))
        _, _, goal = _foot(side, c)
        start = root + _apply(turn, _J[hip] - _J[0])
        level = np.linalg.norm((goal - start)[:, [0, 2]], axis=-1)
        highest = goal[:, 1] + np.sqrt(np.maximum(leg**2 - level**2, 0.04))
        down = np.maximum(down, start[:, 1] - highest)
    return root - np.stack([np.zeros_like(down), down, np.zeros_like(down)], -1)


def solve(controls: Mapping[str, Float[np.ndarray, "t k"]], fps: float, name: str) -> Motion:
    """The motion that the controls describe; those not given are neutral."""
    frames = len(next(iter(controls.values())))
    c = {
        key: np.asarray(controls.get(key, np.tile(spec.neutral, (frames, 1))), dtype=float)
        for key, spec in CONTROLS.items()
    }
    world = np.tile(np.eye(3), (frames, 24, 1, 1))
    at = np.zeros((frames, 24, 3))
    world[:, 0] = _turn(c["pelvis_turn"])
    at[:, 0] = _lowered(c, _J[0] + c["pelvis"], world[:, 0])
    parent = 0
    for joint, key, share in (
        ("spine1", "spine", 0.3),
        ("spine2", "spine", 0.35),
        ("spine3", "spine", 0.35),
        ("neck", "head", 0.4),
        ("head", "head", 0.6),
    ):
        index = JOINT[joint]
        world[:, index] = world[:, parent] @ _fraction(c[key], share)
        at[:, index] = at[:, parent] + _apply(world[:, parent], _J[index] - _J[parent])
        parent = index
    for side in _SIDES:
        _arm(side, c, world, at)
        _leg(side, c, world, at)
    heading = _turn(np.concatenate([np.zeros((frames, 1)), c["heading"], np.zeros((frames, 1))], axis=1))
    return Motion(
        rotations=local_rotations(heading[:, None] @ world),
        root_position=_apply(heading, at[:, 0]) + c["place"],
        rest_root_height=float(_J[0, 1]),
        joint_names=SMPL_JOINTS,
        fps=fps,
        name=name,
    )
