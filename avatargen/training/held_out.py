"""How well the image tower does on bodies and poses that it does not learn from: the validation curve, and its plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from avatargen.core.plots import new_figure, write_figure
from avatargen.core.rng import numpy_stream, stream
from avatargen.guidance.embedded.image_tower import ImageTower
from avatargen.guidance.embedded.slots import BACKGROUND
from avatargen.training.gbuffers import make_buffers
from avatargen.training.motions import clips_of, even_frames, read_motions
from avatargen.training.pictures import Batch, Source
from avatargen.training.queries import make_queries

Row = Mapping[str, float]
"""A point of the curve: `step`, `seconds` of training, and the figures of `judge`."""

_PAINTED, _QUERIES = 16, 4
_FRAMES_PER_CLIP = 4


def held_out(motions: Path, out: Path, seed: int, bodies: int, workers: int = 2) -> list[Batch]:
    """Pictures of `bodies` other bodies, in poses of the motion set's validation clips; the same every time.

    They are rendered into `out` where they are not there yet. A set without validation clips gives its training poses.
    """
    clips = read_motions(motions)
    apart = clips_of(clips, "val") or clips_of(clips, "train")
    frames = even_frames(clips, apart, _FRAMES_PER_CLIP, numpy_stream(seed, "held out"))
    buffers = make_buffers(out / "val.npz", seed, bodies, frames, workers)
    queries = make_queries(out / "query_val.npz", seed, bodies, workers)
    source = Source(buffers, *queries, stream(seed, "guidance/held out"))
    return [source.draw(_PAINTED, _QUERIES) for _ in range(-(-source.count // _PAINTED))]


@torch.no_grad()
def judge(tower: ImageTower, batches: Sequence[Batch]) -> dict[str, float]:
    """What `tower` gets wrong: pixels of people (share), joints (mm), traits (standard deviations); means."""
    pixels: list[Tensor] = []
    joints: list[Tensor] = []
    traits: list[Tensor] = []
    for batch in batches:
        logits, told, placed = tower(batch.images.contiguous(memory_format=torch.channels_last))
        painted = len(batch.slot)
        person = batch.slot != BACKGROUND
        pixels.append((logits[:painted].argmax(1) != batch.slot)[person])
        whole = batch.joints_known > 0
        joints.append(1000.0 * (placed[:painted] - batch.joints)[whole].norm(dim=-1).flatten())
        sure = batch.traits_known == 1
        traits.append((told - batch.traits)[sure].abs().flatten())
    named = {"pixels": pixels, "joints": joints, "traits": traits}
    return {name: float(torch.cat(parts).float().mean()) for name, parts in named.items()}


def plot_curve(curve: Sequence[Row], path: Path) -> Path:
    """Draw the figures of `judge` over the steps as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    titles = {
        "pixels": "pixels of people, share wrong",
        "joints": "joints, mm",
        "traits": "traits, standard deviations",
    }
    figure = new_figure(9.6, 2.8)
    for index, (key, title) in enumerate(titles.items(), start=1):
        axes = figure.add_subplot(1, len(titles), index)
        axes.plot([row["step"] for row in curve], [row[key] for row in curve], marker=".")
        axes.set(title=title, xlabel="step", yscale="log")
        axes.grid(visible=True, which="both", alpha=0.3)
    figure.suptitle("image tower of the embedded guidance, held-out pictures")
    return write_figure(figure, path)
