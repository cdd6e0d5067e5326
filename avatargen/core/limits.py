"""What numbers the settings may have: absurd ones are told before anything is made.

The bounds are wide; they keep out what no machine could do or what means nothing, not what is unwise.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from avatargen.core.errors import ConfigError
from avatargen.core.settings import Settings

LIMITS: dict[str, tuple[float, float]] = {
    "shape.codebook_size": (1, 2048),
    "shape.views": (1, 4),
    "shape.blend": (1, 2048),
    "shape.refine_steps": (0, 10_000),
    "shape.strength": (0.0, 10.0),
    "implicit.steps": (0, 10_000_000),
    "implicit.minutes": (0.0, 100_000.0),
    "implicit.patience": (0, 10_000_000),
    "implicit.coarse_share": (0.0, 1.0),
    "implicit.smooth_left": (0.001, 1000.0),
    "implicit.bend_left": (0.001, 1000.0),
    "implicit.views": (1, 64),
    "implicit.image_size": (0, 2048),
    "implicit.supersample": (1, 8),
    "implicit.samples": (2, 4096),
    "implicit.color_samples": (0, 4096),
    "implicit.march_steps": (1, 10_000),
    "implicit.hash_log2": (4, 26),
    "implicit.distance_mm": (1.0, 64.0),
    "implicit.detail_mm": (0.5, 64.0),
    "implicit.features": (6, 64),
    "implicit.growth": (0.0, 10.0),
    "implicit.fine_gain": (0.0, 10.0),
    "implicit.normal_mm": (0.1, 100.0),
    "implicit.sharpness": (10.0, 100_000.0),
    "implicit.shape_rate": (0.0, 1.0),
    "implicit.color_rate": (0.0, 10.0),
    "implicit.relief": (0.0, 10.0),
    "implicit.textureless_every": (0, 10_000_000),
    "implicit.checkpoint_every": (0, 10_000_000),
    "mesh.voxel_mm": (0.5, 50.0),
    "mesh.head_mm": (0.5, 50.0),
    "mesh.hand_mm": (0.5, 50.0),
    "mesh.reach_mm": (5.0, 1000.0),
    "mesh.smoothing": (0, 100),
    "mesh.faces": (100, 5_000_000),
    "mesh.lods": (0, 4),
    "mesh.texture_size": (16, 16_384),
    "mesh.padding": (0, 64),
    "mesh.face_gain": (0.1, 10.0),
    "motion.seconds": (1.0, 10.0),
    "motion.fps": (5.0, 240.0),
    "motion.codebook_entries": (1, 100_000),
    "motion.codebook_views": (1, 12),
    "motion.pre_top": (1, 100_000),
    "motion.duplicate": (0.0, 10.0),
    "motion.starts": (1, 256),
    "motion.prior_starts": (0, 256),
    "motion.shortlist": (1, 10_000),
    "motion.steps": (0, 100_000),
    "motion.latent_rate": (0.0, 10.0),
    "motion.intensity": (0.1, 4.0),
    "motion.guidance_every": (0, 100_000),
    "motion.guidance_frames": (1, 256),
    "motion.score_frames": (1, 600),
    "motion.score_views": (1, 12),
    "video.width": (16, 7680),
    "video.height": (16, 4320),
    "video.fps": (1, 240),
    "video.max_fps": (1, 240),
    "video.turntable_seconds": (0.05, 600.0),
    "video.supersample": (1, 8),
    "video.crf": (0, 51),
    "video.preview_width": (64, 16_384),
    "video.workers": (0, 256),
}
"""Key to the least and the most it may be."""

_WEIGHT = (0.0, 10_000.0)
_LARGEST = 1e9


def check_limits(settings: Settings) -> Settings:
    """The settings themselves.

    Raises:
        ConfigError: a number is out of its range; the message has key and range.
    """
    for key, value in _numbers(settings, ""):
        low, high = LIMITS.get(key) or (_WEIGHT if key.endswith("_weight") else (-_LARGEST, _LARGEST))
        if key != "seed" and not low <= value <= high:
            raise ConfigError(f"{key} = {value:g} is out of range; it goes from {low:g} to {high:g}")
    few, many = settings.implicit.color_samples, settings.implicit.samples
    if few and many % few:
        raise ConfigError(f"implicit.color_samples = {few} does not divide implicit.samples = {many}; 0 takes them all")
    return settings


def _numbers(node: Any, path: str) -> Iterator[tuple[str, float]]:
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from _numbers(value, f"{path}{field.name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}{field.name}", value
