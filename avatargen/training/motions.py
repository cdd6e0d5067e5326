"""The motion set as training needs it: frames drawn evenly over clips, with the clips' words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from avatargen.core.errors import InputError

_CENTRAL = 0.6
"""Share of a clip, around its middle, that its label describes best."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionSet:
    """Clips end to end."""

    axis_angle: Float[np.ndarray, "f 24 3"]
    clip_start: Integer[np.ndarray, " c1"]
    """First frame of each clip, and the number of frames at the end."""
    names: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    """Label first, then the alternatives."""
    splits: tuple[str, ...]


def read_motions(path: Path) -> MotionSet:
    """The motion set that `motiongen`'s importer wrote.

    Raises:
        InputError: the file is not there or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            labels, others = archive["labels"], archive["alternatives"]
            return MotionSet(
                axis_angle=archive["axis_angle"].astype(np.float32),
                clip_start=archive["clip_start"].astype(np.int64),
                names=tuple(str(n) for n in archive["names"]),
                phrases=tuple(
                    (str(a), *(p for p in str(b).split("|") if p)) for a, b in zip(labels, others, strict=True)
                ),
                splits=tuple(str(s) for s in archive["split"]),
            )
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a motion set: {error}\n  Build one with motiongen's importer.") from error


def clips_of(motions: MotionSet, split: str) -> list[int]:
    """Indices of the clips of a split ("train", "val", ...)."""
    return [i for i, s in enumerate(motions.splits) if s == split]


def central_frames(motions: MotionSet, clip: int) -> Integer[np.ndarray, " n"]:
    """Frames of the clip's middle part."""
    start, end = int(motions.clip_start[clip]), int(motions.clip_start[clip + 1])
    cut = int((end - start) * (1 - _CENTRAL) / 2)
    return np.arange(start + cut, max(end - cut, start + cut + 1))


def even_frames(
    motions: MotionSet, clips: list[int], per_clip: int, generator: np.random.Generator
) -> Float[np.ndarray, "n 24 3"]:
    """`per_clip` random central frames of each clip."""
    rows = [generator.choice(central_frames(motions, c), per_clip) for c in clips]
    return motions.axis_angle[np.concatenate(rows)]
