"""Signed distances of simple solids, as NumPy; points [n, 3] in metres, negative inside."""

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "n 3"]
Values = Float[np.ndarray, " n"]


def capsules(points: Points, places: np.ndarray, radii: np.ndarray) -> Values:
    """A chain of round cones through `places` [k, 3] with `radii` [k]."""
    best = np.full(len(points), np.inf)
    for a, b, r, s in zip(places[:-1], places[1:], radii[:-1], radii[1:], strict=True):
        along = b - a
        share = np.clip((points - a) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(points - (a + share[:, None] * along), axis=1) - (r + share * (s - r)))
    return best


def ellipse(x: Values, z: Values, a: Values | float, b: Values | float) -> Values:
    """About the distance to an ellipse with half axes `a` along x and `b` along z, which may vary by point."""
    k = np.hypot(x / a, z / b)
    slope = np.hypot(x / np.square(a), z / np.square(b))
    return np.where(k > 1e-6, k * (k - 1.0) / np.maximum(slope, 1e-9), -np.minimum(a, b))


def meet(*parts: Values) -> Values:
    """The intersection."""
    return np.maximum.reduce(parts)


def join(*parts: Values) -> Values:
    """The union."""
    return np.minimum.reduce(parts)


def cut(solid: Values, tool: Values) -> Values:
    """`solid` without `tool`."""
    return np.maximum(solid, -tool)


def soft_join(first: Values, second: Values, radius: float) -> Values:
    """The union with the crease filled to about `radius` (polynomial smooth minimum)."""
    share = np.clip(0.5 + 0.5 * (second - first) / radius, 0.0, 1.0)
    return second + share * (first - second) - radius * share * (1.0 - share)


def ramp(value: Values, low: float | np.floating, high: float | np.floating) -> Values:
    """0 at `low`, 1 at `high`, smooth between."""
    share = np.clip((value - low) / (high - low), 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
