"""How long the embedded guidance is trained, what it is learned from, and the pictures that are drawn from that."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.rng import numpy_stream, stream
from avatargen.training.gbuffers import Buffers, join, make_buffers, make_pose_buffers
from avatargen.training.motions import clips_of, even_frames, read_motions
from avatargen.training.pictures import Source
from avatargen.training.queries import make_queries
from avatargen.training.wardrobe import Wardrobe, fill_wardrobe

_BODIES_SHARE = 0.45
"""Of the pictures in a batch: bodies of known build in views of all kinds; the rest are poses."""
_VIEWS = 2
"""Sides from which a pose is rendered, as `make_pose_buffers` has it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how large."""

    minutes: float = 26.0
    """Of the image tower; rendering, joints and words come on top, about as much again."""
    seed: int = 0
    bodies: int = 1400
    frames_per_clip: int = 8
    """Poses of each clip that are rendered besides, in whole-body views."""
    dressed: int = 1000
    """Bodies with clothes and hair as geometry, in as many views as the bare ones."""
    dressed_frames_per_clip: int = 16
    """Further poses of each clip, every second body dressed."""
    query_bodies: int = 320
    held_out: int = 40
    """Bodies that nothing is learned from, for the validation curve."""
    painted: int = 16
    queries: int = 4
    workers: int = 2
    """Processes, each with its own batches; their gradients are averaged at every step."""
    rate: float = 2.5e-3
    averaging: float = 0.997
    """Decay of the moving average of the weights, which is what ships."""
    joint_steps: int = 1500
    """Of the second look at joints, after the tower."""
    word_steps: int = 12000
    save_seconds: float = 90.0


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What is learned from."""

    motions: Path
    """The motion set that motiongen's importer writes."""
    teacher: Path | None = None
    """Folder of the sentence-embedding model."""
    dictionary: Path | None = None
    """Folder of WordNet's database files."""
    garments: Path | None = None
    """Folder of MakeHuman's clothes and hair, worn besides our own pieces."""
    start: Path | None = None
    """Weights to go on from: those that ship, or others of this command."""


def source_of(plan: Plan, sources: Sources, out: Path, name: str) -> Source:
    """Everything that is rendered for learning, made now where `out` has none; `name` names the stream of draws."""
    data = read_motions(sources.motions)
    clips = clips_of(data, "train")

    @lru_cache(maxsize=1)
    def wardrobe() -> Wardrobe:
        return fill_wardrobe(sources.garments).apart()[0]

    def poses(per_clip: int, stream_name: str) -> Float[np.ndarray, "f 24 3"]:
        return even_frames(data, clips, per_clip, numpy_stream(plan.seed, stream_name))

    seed, frames = plan.seed, poses(8, "frames")
    bodies = [make_buffers(out / "train.npz", seed + 1, plan.bodies, frames, plan.workers)]
    posed = [make_pose_buffers(out / "poses.npz", seed + 3, poses(plan.frames_per_clip, "poses"), plan.workers)]
    if plan.dressed:
        bodies.append(make_buffers(out / "dressed.npz", seed + 6, plan.dressed, frames, plan.workers, wardrobe))
    if plan.dressed_frames_per_clip:
        more = poses(plan.dressed_frames_per_clip, "dressed poses")
        posed.insert(0, make_pose_buffers(out / "dressed_poses.npz", seed + 7, more, plan.workers, wardrobe))
    images, traits = make_queries(out / "query_train.npz", seed + 2, plan.query_bodies, plan.workers)
    generator = stream(seed, f"guidance/batches/{name}")
    return Source(join(*bodies, *posed), images, traits, generator, _shares(bodies, posed))


def _shares(bodies: Sequence[Buffers], posed: Sequence[Buffers]) -> Float[Tensor, " n"]:
    """Chance of each record: however many poses there are, bodies and what is seen close up stay a part of it."""
    parts = []
    for buffers, share in ((bodies, _BODIES_SHARE), (posed, 1.0 - _BODIES_SHARE)):
        count = sum(len(b.face) for b in buffers)
        parts.append(torch.full((count,), share / max(count, 1)))
    return torch.cat(parts)


def pose_rows(source: Source, clips: int, plan: Plan) -> Integer[np.ndarray, " n"]:
    """Buffers of the poses: they come last, clip by clip."""
    count = clips * plan.frames_per_clip * _VIEWS
    return np.arange(count) + source.count - count


def rows_to_read(source: Source, clips: int, plan: Plan) -> tuple[Integer[np.ndarray, " n"], Integer[np.ndarray, " n"]]:
    """Buffers of all poses from which the words of actions learn, clip by clip, and the clip of each.

    The further poses come before the others, in the same order of clips; all are seen from both sides.
    """
    bare, more = pose_rows(source, clips, plan), clips * plan.dressed_frames_per_clip * _VIEWS
    rows = np.concatenate([bare[0] - more + np.arange(more), bare])
    per_clip = (plan.dressed_frames_per_clip * _VIEWS, plan.frames_per_clip * _VIEWS)
    clip = np.concatenate([np.repeat(np.arange(clips), n) for n in per_clip])
    by_clip = np.argsort(clip, kind="stable")
    return rows[by_clip], clip[by_clip]
