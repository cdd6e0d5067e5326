"""Trains the second look at joints, with the image tower fixed: forward passes only, so many pictures a second."""

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from avatargen.core.progress import Reporter, Silent, stage
from avatargen.guidance.embedded.image_tower import JOINTS, ImageTower, JointReader, channels_last
from avatargen.training.pictures import Source

_LINEAR_FROM = 0.1
"""Metres of error from which it counts in proportion only."""


def beginner() -> JointReader:
    """A reader that repeats the tower's guess."""
    reader = JointReader()
    for parameter in reader.layers[-1].parameters():
        torch.nn.init.zeros_(parameter)
    return reader


@torch.no_grad()
def read_joints(
    tower: ImageTower, reader: JointReader, source: Source, rows: Integer[np.ndarray, " n"], batch: int = 32
) -> Float[Tensor, "n 23 3"]:
    """Joints as the two networks read them off `source`'s buffers `rows`, painted at random."""
    out = []
    for part in np.array_split(rows, -(-len(rows) // batch)):
        images = source.pictures(part)
        logits, state = tower.see(images.contiguous(memory_format=torch.channels_last))
        out.append(reader(logits, state, tower.joints(state).unflatten(1, (JOINTS, 3))))
    return torch.cat(out)


def train_joint_reader(
    tower: ImageTower,
    source: Source,
    steps: int,
    batch: int = 32,
    reporter: Reporter | None = None,
    start: JointReader | None = None,
) -> JointReader:
    """A reader trained on `source`'s painted whole-body views, from `start` or from the tower's own guess."""
    reporter = reporter or Silent()
    tower = channels_last(tower.eval().requires_grad_(False))
    reader = start or beginner()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps + 1)
    reader.train()
    with stage(reporter, "joints", steps):
        for _ in range(steps):
            made = source.draw(batch, 0)
            with torch.no_grad():
                logits, state = tower.see(made.images.contiguous(memory_format=torch.channels_last))
                guess = tower.joints(state).unflatten(1, (JOINTS, 3))
            error = smooth_l1_loss(reader(logits, state, guess), made.joints, reduction="none", beta=_LINEAR_FROM)
            loss = (error.mean((1, 2)) * made.joints_known).sum() / made.joints_known.sum().clamp_min(1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            reporter.step(1, loss=float(loss.detach()))
    return reader.eval()
