"""Skirts, wide sleeves and capes as solids around a measured body."""

import numpy as np

from avatargen.implicit.figure import Figure
from avatargen.implicit.shapes import Points, Values, cut, ellipse, join, meet, ramp
from avatargen.implicit.worn import Piece

CLOTH = 0.010
"""Half the thickness of what hangs free, metres: marching cubes must not lose it."""
_TUCK, _SINK = 0.07, 0.035
"""Above its edge cloth goes on this far, metres, and sinks this deep into what it hangs from: no step is seen."""


def waist_and_hem(figure: Figure, length: float) -> tuple[float, float]:
    """Heights of a skirt's upper and lower edge."""
    waist = float(figure.joint("spine1")[1])
    ankle = float(figure.joint("left_ankle")[1])
    return waist, waist + length * (ankle - 0.03 - waist)


def skirt(points: Points, figure: Figure, piece: Piece) -> Values:
    """A bell from the waist to the hem around both legs, with folds; hollow at its lower end."""
    waist, hem = waist_and_hem(figure, piece.length)
    heights = np.linspace(waist + 0.02, hem - 0.02, 40)
    legs = figure.trunk
    rings = np.array([_ring(legs, y) for y in heights])
    low, high = rings[:, 2], rings[:, 3]
    down = (heights[0] - heights) / (waist - float(figure.joint("left_ankle")[1]))
    wide = np.maximum.accumulate(rings[:, 1]) + 0.012 + piece.flare * np.maximum(down - 0.12, 0.0)
    middle, deep = 0.5 * (low + high), 0.5 * (high - low)
    # The legs lean out of the hips' ring below: the bell holds all of them.
    deep = np.maximum.accumulate(deep) + 0.014 + 0.8 * piece.flare * np.maximum(down - 0.12, 0.0)
    middle = middle[0] + (middle - middle[0]) * 0.5
    tight = np.array([
        _overhang(legs, *ring) for ring in zip(heights, wide, deep, middle, strict=True)
    ])  # fmt: skip
    wide, deep = wide * np.maximum.accumulate(tight), deep * np.maximum.accumulate(tight)
    x, y, z = points.T
    a, b, c = (np.interp(-y, -heights, values) for values in (wide, deep, middle))
    sunk = _SINK * ramp(y, waist - 1.5 * _TUCK, waist + _TUCK)
    a, b = a - sunk, b - sunk
    share = np.clip((waist - y) / (waist - hem), 0.0, 1.0)
    turn = np.arctan2(x / a, (z - c) / b)
    folds = 1.0 + (0.012 + 0.16 * piece.flare) * ramp(share, 0.15, 1.0) * np.cos(11 * turn + 2.0 * np.sin(3 * turn))
    bell = ellipse(x, z - c, a * folds, b * folds) * 0.9
    hollow = meet(bell + 2.2 * CLOTH, y - (hem + 0.25 * (waist - hem)))
    return cut(meet(bell, hem - y, y - waist - _TUCK), hollow)


def sleeves(points: Points, figure: Figure, piece: Piece) -> Values:  # noqa: ARG001  one signature for all pieces
    """Sleeves that widen from the elbow to the wrist, open there."""
    solids = []
    for side in ("left", "right"):
        elbow, wrist = figure.joint(f"{side}_elbow"), figure.joint(f"{side}_wrist")
        along = wrist - elbow
        reach = float(np.linalg.norm(along))
        way = along / reach
        at = (points - elbow) @ way
        away = points - elbow - at[:, None] * way
        share = np.clip(at / reach, -0.4, 1.0)
        # The opening hangs: wider below the arm than above.
        hang = 1.0 + 0.9 * ramp(share, 0.2, 1.0) * np.clip(-away[:, 1] / (np.linalg.norm(away, axis=1) + 1e-6), 0, 1)
        radius = (0.052 + 0.030 * np.clip(share, 0, 1)) * hang - _SINK * (1.0 - ramp(share, -0.25, 0.1))
        tube = (np.linalg.norm(away, axis=1) - radius) * 0.75
        inside = meet(tube + 1.4 * CLOTH, -(at - 0.55 * reach))
        solids.append(cut(meet(tube, at - 0.97 * reach, -at - 0.25 * reach), inside))
    return join(*solids)


def cape(points: Points, figure: Figure, piece: Piece) -> Values:
    """A cloth that falls from the shoulders behind the body, with folds, and a roll around the neck."""
    shoulder = figure.joint("left_shoulder")
    top = float(figure.joint("neck")[1]) + 0.01
    ankle = float(figure.joint("left_ankle")[1])
    end = top + piece.length * (ankle - top)
    heights = np.linspace(top, end, 60)
    rear = np.minimum.accumulate(figure.rear(heights, 0.22) - 0.022)
    rear = np.convolve(np.pad(rear, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    x, y, z = points.T
    share = np.clip((top - y) / (top - end), 0.0, 1.0)
    half = 0.98 * abs(float(shoulder[0])) * (0.72 + 0.28 * ramp(share, 0.0, 0.12)) + 0.13 * share
    across = np.clip(np.abs(x) / half, 0.0, 1.3)
    # It wraps a little around the shoulders and hangs freely below.
    wrap = 0.075 * across**2 * (1.0 - ramp(share, 0.05, 0.45))
    folds = (0.004 + 0.022 * share) * np.cos(5.5 * np.pi * x / half)
    place = np.interp(-y, -heights, rear) - 0.05 * share + wrap + folds
    sheet = meet(np.abs(z - place) - CLOTH, np.abs(x) - half, end - y, y - top)
    neck = figure.joint("neck")
    flat = np.hypot(x, (z - neck[2] - 0.005) * 0.9)
    roll = np.hypot(flat - 0.088, y - (top - 0.010) + 0.25 * (z - neck[2])) - 0.014
    return join(sheet * 0.8, roll)


def _overhang(points: np.ndarray, height: float, wide: float, deep: float, middle: float) -> float:
    """By how much a ring is too small for what it has to hold (buttocks are no ellipse); at least one."""
    near = points[np.abs(points[:, 1] - height) < 0.03]
    return max(1.0, float(np.hypot(near[:, 0] / (wide - 0.008), (near[:, 2] - middle) / (deep - 0.008)).max()))


def _ring(points: np.ndarray, height: float) -> tuple[float, float, float, float]:
    near = points[np.abs(points[:, 1] - height) < 0.03]
    return height, float(np.abs(near[:, 0]).max()), float(near[:, 2].min()), float(near[:, 2].max())
