"""Enlarge parts of space so that whatever measures lengths spends more on them; and go back exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_STEPS = 3001


@dataclass(frozen=True, kw_only=True)
class Focus:
    """A ball, e.g. around the head, that matters more than its size says."""

    center: tuple[float, float, float]
    radius: float
    """Metres; the gain fades out over one more radius."""
    gain: float
    """Factor on lengths in the ball, at least 1: 2 gives four times the texels."""

    def __post_init__(self) -> None:
        if self.gain < 1.0 or self.radius <= 0.0:
            raise ValueError(f"a focus needs a gain of at least 1 and a radius, not {self.gain} and {self.radius}")


def _curve(gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Old and new distances from the center, in radii, up to where the gain has faded.

    The new one is the integral of a local gain of at least one, so it increases whatever the gain is.
    """
    radii = np.linspace(0.0, 3.0, _STEPS)
    fade = np.clip(2.0 - radii, 0.0, 1.0)
    local = 1.0 + (gain - 1.0) * fade * fade * (3.0 - 2.0 * fade)
    steps = 0.5 * (local[1:] + local[:-1]) * np.diff(radii)
    return radii, np.concatenate([[0.0], np.cumsum(steps)])


def magnify(points: Float[np.ndarray, "n 3"], focus: Sequence[Focus]) -> Float[np.ndarray, "n 3"]:
    """Points moved away from the middle of each focus in turn; float64."""
    out = points.astype(np.float64)
    for ball in focus:
        out = _moved(out, ball, *_curve(ball.gain))
    return out


def unmagnify(points: Float[np.ndarray, "n 3"], focus: Sequence[Focus]) -> Float[np.ndarray, "n 3"]:
    """The inverse of `magnify`."""
    out = points.astype(np.float64)
    for ball in reversed(focus):
        old, new = _curve(ball.gain)
        out = _moved(out, ball, new, old)
    return out


def _moved(points: np.ndarray, ball: Focus, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    arm = points - np.asarray(ball.center)
    radii = np.linalg.norm(arm, axis=1) / ball.radius
    # Beyond the curve everything is shifted outward by the same distance.
    moved = np.where(radii < before[-1], np.interp(radii, before, after), radii + (after[-1] - before[-1]))
    return np.asarray(ball.center) + arm * (moved / np.maximum(radii, 1e-12))[:, None]
