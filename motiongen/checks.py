"""Does a motion do what a text says? One physical check for each of the actions that `benchmarks/motion.py` asks for.

Checks look at joints alone, in metres, seconds and degrees on the body that performs the motion; they know nothing of
how the motion was made. Speeds are of smoothed paths, so that jitter proves nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from avatargen.core.values import Motion
from motiongen.feet import sole_points
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, positions_from_world, world_rotations

_CROWN = 0.16
"""From the head joint to the top of the head, metres at a pelvis height of 0.952."""
SIDES = ("left", "right")


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A motion and what can be measured on it."""

    motion: Motion
    joints: Float[np.ndarray, "24 3"]
    """Rest joints of the body that performs it, soles at y = 0."""
    lively: tuple[float, float] = (0.5, 0.6)
    """Median and 60th percentile of `pace` over the training clips, metres a second."""

    @cached_property
    def world(self) -> Float[np.ndarray, "t 24 3 3"]:
        """Orientation of each joint in the world."""
        return world_rotations(self.motion.rotations.astype(float))

    @cached_property
    def places(self) -> Float[np.ndarray, "t 24 3"]:
        """Joints in the world."""
        return positions_from_world(self.world, self.motion.root_position.astype(float), self.joints)

    @cached_property
    def soles(self) -> Float[np.ndarray, "t 2"]:
        """Height of the lowest point of the left and right sole."""
        return sole_points(self.motion, self.joints)[..., 1].min(-1)

    def place(self, name: str) -> Float[np.ndarray, "t 3"]:
        """One joint in the world."""
        return self.places[:, JOINT[name]]

    def height(self, name: str) -> Float[np.ndarray, " t"]:
        """Of one joint over the floor."""
        return self.place(name)[:, 1]

    @property
    def rest(self) -> float:
        """Height of the pelvis when the body stands."""
        return float(self.joints[0, 1])

    @property
    def size(self) -> float:
        """How large the body is beside the reference body."""
        return self.rest / float(REFERENCE_JOINTS[0, 1])

    @property
    def crown(self) -> Float[np.ndarray, " t"]:
        """Height of the top of the head."""
        up = self.world[:, JOINT["head"]] @ np.array([0.0, _CROWN * self.size, 0.0])
        return self.height("head") + up[:, 1]

    @property
    def mouth(self) -> Float[np.ndarray, "t 3"]:
        """About where the mouth is."""
        return self.place("head") + self.world[:, JOINT["head"]] @ (np.array([0.0, 0.0, 0.09]) * self.size)

    def velocity(self, path: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t 3"]:
        """Of a path, smoothed over about two frames at 30 a second."""
        smooth = gaussian_filter1d(path, 0.025 * self.motion.fps, axis=0, mode="nearest")
        return np.gradient(smooth, axis=0) * self.motion.fps

    def speed(self, name: str, base: str | None = None) -> Float[np.ndarray, " t"]:
        """Of a joint in the world, or relative to another joint."""
        path = self.place(name) - (self.place(base) if base else 0.0)
        return np.linalg.norm(self.velocity(path), axis=-1)

    @cached_property
    def pace(self) -> float:
        """Mean speed of all joints relative to the pelvis."""
        inner = self.places - self.places[:, :1]
        return float(np.linalg.norm(np.diff(inner, axis=0), axis=-1).mean() * self.motion.fps)

    @property
    def spine(self) -> Float[np.ndarray, "t 3"]:
        """Unit vector from the pelvis to the neck."""
        way = self.place("neck") - self.place("pelvis")
        return way / np.linalg.norm(way, axis=-1, keepdims=True)

    @property
    def tilt(self) -> Float[np.ndarray, " t"]:
        """Angle between the spine and the vertical, degrees."""
        return np.degrees(np.arccos(np.clip(self.spine[:, 1], -1, 1)))

    @property
    def front(self) -> Float[np.ndarray, "t 3"]:
        """Level unit vector to where the hips face."""
        left = self.place("left_hip") - self.place("right_hip")
        ahead = np.cross(left, np.array([0.0, 1.0, 0.0]))
        return ahead / np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-9)

    @property
    def lean(self) -> Float[np.ndarray, " t"]:
        """Forward pitch of the spine, degrees; negative is backward."""
        ahead = (self.spine * self.front).sum(-1)
        return np.degrees(np.arctan2(ahead, self.spine[:, 1]))

    @property
    def nod(self) -> Float[np.ndarray, " t"]:
        """Pitch of the head in the world, degrees; positive looks down."""
        gaze = self.world[:, JOINT["head"], :, 2]
        return np.degrees(np.arcsin(np.clip(-gaze[:, 1], -1, 1)))

    def turned(self, axis: int) -> Float[np.ndarray, " t"]:
        """Sum of the turns of the pelvis about its own axis (0: to its left, 1: up), degrees."""
        root = self.world[:, 0]
        step = np.swapaxes(root[:-1], -1, -2) @ root[1:]
        i, j = (axis + 1) % 3, (axis + 2) % 3
        return np.concatenate([[0.0], np.cumsum(np.degrees(0.5 * (step[:, j, i] - step[:, i, j])))])

    def swings(self, side: str) -> int:
        """How often a foot leaves the floor by more than 2 cm."""
        up = self.soles[:, SIDES.index(side)] > 0.02
        return int((np.diff(up.astype(int)) > 0).sum()) + int(up[0])

    def stride(self, axis: str = "front") -> float:
        """Correlation of where left and right ankle are before (or above) the pelvis: -1 is a perfect alternation."""
        along = self.front if axis == "front" else np.array([0.0, 1.0, 0.0])
        ways = [((self.place(f"{side}_ankle") - self.place("pelvis")) * along).sum(-1) for side in SIDES]
        if min(float(np.std(way)) for way in ways) < 0.01:
            return 0.0
        return float(np.corrcoef(*ways)[0, 1])


def reversals(values: Float[np.ndarray, " t"], size: float) -> int:
    """How often a signal turns round, counting turns of more than `size` only."""
    turns, low, high, rising = 0, values[0], values[0], 0
    for value in values:
        low, high = min(low, value), max(high, value)
        if rising >= 0 and value < high - size:
            turns += rising > 0
            rising, low, high = -1, value, value
        elif rising <= 0 and value > low + size:
            turns += rising < 0
            rising, low, high = 1, value, value
    return turns


def share(on: Bool[np.ndarray, " t"]) -> float:
    """Part of the frames in which something holds."""
    return float(np.mean(on))


def _any_side(check: Callable[[Seen, str], bool]) -> Callable[[Seen], bool]:
    return lambda s: any(check(s, side) for side in SIDES)


def _alternates(s: Seen) -> bool:
    return all(s.swings(side) >= 1 for side in SIDES) and s.stride() < -0.3


def _runs(s: Seen) -> bool:
    lead = ((s.place("left_ankle") - s.place("right_ankle")) * s.front).sum(-1)
    passes_by = np.flatnonzero(np.diff(np.sign(gaussian_filter1d(lead, 1.0))) != 0)
    # Between two moments at which one foot passes the other lies one step.
    rate = (len(passes_by) - 1) / max(float(np.ptp(passes_by)), 1.0) * s.motion.fps if len(passes_by) > 1 else 0.0
    return _alternates(s) and rate >= 2.2


def _punches(s: Seen, side: str) -> bool:
    reach = np.linalg.norm(s.place(f"{side}_wrist") - s.place(f"{side}_shoulder"), axis=-1)
    fast = s.speed(f"{side}_wrist", f"{side}_shoulder")
    return float(np.ptp(reach)) > 0.25 * s.size and float(fast.max()) > 1.5


def _kicks(s: Seen, side: str) -> bool:
    return float(s.height(f"{side}_foot").max()) > 0.4 and float(s.speed(f"{side}_foot").max()) > 2.0


def _waves(s: Seen, side: str) -> bool:
    up = s.height(f"{side}_wrist") > s.height(f"{side}_shoulder")
    way = s.place(f"{side}_wrist") - s.place(f"{side}_shoulder")
    turns = max(reversals(gaussian_filter1d(way[:, axis], 1.0), 0.05) for axis in range(3))
    return share(up) >= 0.3 and turns >= 2


def _arms_up(s: Seen) -> bool:
    return bool(((s.height("left_wrist") > s.crown) & (s.height("right_wrist") > s.crown)).any())


def _low(limit: float, least: float) -> Callable[[Seen], bool]:
    return lambda s: share(s.height("pelvis") < limit * s.rest) >= least


def _squats(s: Seen) -> bool:
    return _low(0.65, 0.02)(s) and share(s.soles.max(1) < 0.08) >= 0.8


def _inverts(s: Seen) -> bool:
    down = min(float(s.height(f"{side}_wrist").min()) for side in SIDES) < 0.2
    return down and bool((s.height("neck") < s.height("pelvis")).any())


def _flips(s: Seen) -> bool:
    return float(np.ptp(s.turned(0))) > 270.0


def _pushes_up(s: Seen) -> bool:
    down = [share(s.height(f"{side}_wrist") < 0.2) >= 0.7 for side in SIDES]
    chest = gaussian_filter1d(s.height("spine3"), 1.0)
    return all(down) and float(np.median(s.tilt)) > 50.0 and reversals(chest, 0.06) >= 1


def _crawls(s: Seen) -> bool:
    low = [float(np.median(s.height(f"{side}_{part}"))) < 0.3 for side in SIDES for part in ("wrist", "knee")]
    return all(low)


def _lies(least: float) -> Callable[[Seen], bool]:
    return lambda s: share((s.tilt > 60.0) & (s.height("spine3") < 0.5)) >= least


def _gets_up(s: Seen) -> bool:
    height = s.height("pelvis")
    rise = height - np.minimum.accumulate(height)
    return float(rise.max()) > 0.3 and float(height.min()) < 0.65 * s.rest


def _throws(s: Seen, side: str) -> bool:
    way = s.velocity(s.place(f"{side}_wrist") - s.place("pelvis"))
    above = s.height(f"{side}_wrist") > s.height("head")
    over = (np.linalg.norm(way, axis=-1) > 2.0) & above
    return bool(over.any() or ((way * s.front).sum(-1) > 2.0).any())


def _prays(s: Seen) -> bool:
    middle = 0.5 * (s.place("left_wrist") + s.place("right_wrist"))
    near = np.linalg.norm(s.place("left_wrist") - s.place("right_wrist"), axis=-1) < 0.2
    ahead = ((middle - s.place("spine3")) * s.front).sum(-1) > 0.08
    between = (middle[:, 1] > s.height("spine1")) & (middle[:, 1] < s.height("head"))
    return share(near & ahead & between) >= 0.3


def _argues(s: Seen) -> bool:
    moves = max(float(s.speed(f"{side}_wrist").mean()) for side in SIDES) > 0.25
    stays = [float(np.ptp(s.place(f"{side}_foot")[:, [0, 2]], axis=0).max()) < 0.35 for side in SIDES]
    return moves and all(stays)


def _to_mouth(s: Seen, side: str) -> bool:
    return bool((np.linalg.norm(s.place(f"{side}_hand") - s.mouth, axis=-1) < 0.2).any())


def _cries(s: Seen) -> bool:
    near = [np.linalg.norm(s.place(f"{side}_hand") - s.mouth, axis=-1) < 0.25 for side in SIDES]
    return share(near[0] & near[1]) >= 0.2 or share(s.nod > 25.0) >= 0.5


def _over_head(s: Seen, side: str) -> bool:
    return bool((s.height(f"{side}_wrist") > s.crown).any())


def _nods(s: Seen) -> bool:
    return reversals(gaussian_filter1d(s.nod, 1.0), 6.0) >= 2


def _stoops(s: Seen) -> bool:
    return float(np.median(s.lean)) > 10.0


def _shivers(s: Seen) -> bool:
    seconds = len(s.places) / s.motion.fps
    for side in SIDES:
        way = s.place(f"{side}_wrist") - s.place("pelvis")
        fast = way - gaussian_filter1d(way, 0.12 * s.motion.fps, axis=0, mode="nearest")
        axis = int(fast.std(0).argmax())
        small = 0.001 < float(fast[:, axis].std()) < 0.04
        if small and reversals(fast[:, axis], 0.003) / seconds >= 6.0:
            return True
    return False


def _sways(s: Seen) -> bool:
    left = np.cross(np.array([0.0, 1.0, 0.0]), s.front)
    roll = np.degrees(np.arcsin(np.clip((s.spine * left).sum(-1), -1, 1)))
    return any(reversals(gaussian_filter1d(angle, 1.0), 6.0) >= 1 for angle in (roll, s.lean))


def _blocks(s: Seen) -> bool:
    on = np.ones(len(s.places), dtype=bool)
    for side in SIDES:
        wrist = s.place(f"{side}_wrist")
        ahead = ((wrist - s.place("spine3")) * s.front).sum(-1) > 0.12
        on &= ahead & (wrist[:, 1] > s.height("spine2")) & (wrist[:, 1] < s.crown + 0.1)
    return share(on) >= 0.2


def _climbs(s: Seen) -> bool:
    high = [share(s.height(f"{side}_wrist") > s.height(f"{side}_shoulder")) >= 0.3 for side in SIDES]
    return all(high) and s.stride("up") < -0.2


def _meditates(s: Seen) -> bool:
    still = [float(s.speed(f"{side}_foot").mean()) < 0.08 for side in SIDES]
    return all(still) and _low(0.65, 0.5)(s)


def _stands_still(s: Seen) -> bool:
    upright = float(np.median(s.tilt)) < 20.0 and float(np.median(s.height("pelvis"))) > 0.9 * s.rest
    return upright and float(np.linalg.norm(np.diff(s.places, axis=0), axis=-1).mean() * s.motion.fps) < 0.1


CHECKS: Mapping[str, Callable[[Seen], bool]] = {
    "alternates": _alternates,
    "runs": _runs,
    "jumps": lambda s: bool((s.soles.min(1) > 0.03).any()),
    "punches": _any_side(_punches),
    "kicks": _any_side(_kicks),
    "fast foot": _any_side(lambda s, side: float(s.speed(f"{side}_foot").max()) > 2.0),
    "waves": _any_side(_waves),
    "arms up": _arms_up,
    "sits": _low(0.65, 0.25),
    "squats": _squats,
    "crouches": _low(0.75, 0.1),
    "bends": lambda s: bool((s.lean > 45.0).any()),
    "bows": lambda s: bool((s.lean > 25.0).any()),
    "dances": lambda s: s.pace >= s.lively[0],
    "inverts": _inverts,
    "flips": _flips,
    "pushes up": _pushes_up,
    "crawls": _crawls,
    "lies": _lies(0.25),
    "sleeps": _lies(0.5),
    "gets up": _gets_up,
    "throws": _any_side(_throws),
    "prays": _prays,
    "argues": _argues,
    "hand to mouth": _any_side(_to_mouth),
    "cries": _cries,
    "excited": lambda s: s.pace >= s.lively[1],
    "hand over head": _any_side(_over_head),
    "nods": _nods,
    "stoops": _stoops,
    "shivers": _shivers,
    "sways": _sways,
    "blocks": _blocks,
    "fast wrist": _any_side(lambda s, side: float(s.speed(f"{side}_wrist").max()) > 2.0),
    "climbs": _climbs,
    "meditates": _meditates,
    "stands still": _stands_still,
    "spins": lambda s: float(np.ptp(s.turned(1))) > 270.0,
}
"""Name of a check -> whether a motion passes it."""


def passes(check: str, seen: Seen) -> bool:
    """Whether a motion passes the check of that name.

    Raises:
        KeyError: there is no such check.
    """
    return bool(cast(bool, CHECKS[check](seen)))
