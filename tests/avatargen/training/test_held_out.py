"""The validation curve of the image tower: what is judged, and that it survives a pause."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatargen.body.open_body import load_open_body
from avatargen.core.files import load_tensors, save_tensors
from avatargen.guidance.embedded.image_tower import JOINTS, ImageTower
from avatargen.guidance.embedded.slots import BACKGROUND, TRAITS
from avatargen.training.held_out import judge
from avatargen.training.pictures import Batch
from avatargen.training.plan import Plan, Sources
from avatargen.training.ship import named_tensors
from avatargen.training.tower import train_tower


def batch(slot: torch.Tensor) -> Batch:
    """Two painted pictures, of which one shows a whole body, and one query picture."""
    return Batch(
        images=torch.zeros(3, 3, 128, 128),
        slot=slot,
        joints=torch.zeros(2, JOINTS, 3),
        joints_known=torch.tensor([1.0, 0.0]),
        traits=torch.zeros(3, len(TRAITS)),
        traits_known=torch.tensor([0.3, 0.0, 1.0]),
    )


class Answer(ImageTower):
    """Says what it was told to say."""

    def __init__(self, slot: torch.Tensor, metres: float, off: float) -> None:
        super().__init__()
        self._slot, self._metres, self._off = slot, metres, off

    def forward(self, images):
        logits = torch.nn.functional.one_hot(self._slot, BACKGROUND + 1).permute(0, 3, 1, 2).float()
        logits = torch.cat([logits, logits[:1]])
        joints = torch.zeros(3, JOINTS, 3)
        joints[0, :, 1] = self._metres
        joints[1] = 99.0  # not known there
        traits = torch.full((3, len(TRAITS)), 99.0)
        traits[2] = self._off  # the only ones that are known for certain
        return logits, traits, joints


def test_errors_are_counted_where_the_truth_is_known():
    slot = torch.full((2, 64, 64), BACKGROUND)
    slot[:, :10, :10] = 3
    wrong = slot.clone()
    wrong[:, :5, :10] = 4
    wrong[:, 60:] = 7  # the backdrop does not count
    assert judge(Answer(slot, 0.0, 0.0), [batch(slot)]) == {"pixels": 0.0, "joints": 0.0, "traits": 0.0}
    found = judge(Answer(wrong, 0.02, -0.5), [batch(slot), batch(slot)])
    assert found == pytest.approx({"pixels": 0.5, "joints": 20.0, "traits": 0.5})


def buffers(path: Path, count: int) -> None:
    """As training keeps them: every picture shows a square of some faces of the body."""
    generator = np.random.default_rng(count)
    face = np.zeros((count, 128, 128), dtype=np.uint16)
    face[:, 32:96, 32:96] = generator.integers(1, len(load_open_body().faces), (count, 64, 64))
    normal = np.zeros((count, 128, 128, 3), dtype=np.int8)
    normal[..., 2] = 127
    np.savez(
        path,
        face=face,
        normal=normal,
        kind=np.zeros(count, dtype=np.uint8),
        joints=generator.normal(0, 0.3, (count, JOINTS, 3)).astype(np.float32),
        traits=generator.normal(0, 1, (count, len(TRAITS))).astype(np.float32),
        standing=np.ones(count, dtype=np.uint8),
    )


def queries(path: Path, count: int) -> None:
    generator = np.random.default_rng(count)
    images = generator.integers(0, 255, (count, 4, 128, 128, 3), dtype=np.uint8)
    np.savez(path, images=images, traits=generator.normal(0, 1, (count, len(TRAITS))).astype(np.float32))


def rendered(folder: Path) -> Path:
    """A folder with all pictures that training needs; returns the motion set."""
    for name, count in (("train", 6), ("poses", 2), ("val", 4)):
        buffers(folder / f"{name}.npz", count)
    queries(folder / "query_train.npz", 3)
    queries(folder / "query_val.npz", 2)
    path = folder / "set.npz"
    np.savez(
        path,
        axis_angle=np.zeros((20, 24, 3), dtype=np.float32),
        clip_start=np.array([0, 10, 20]),
        names=np.array(["a", "b"]),
        labels=np.array(["walk", "run"]),
        alternatives=np.array(["", ""]),
        split=np.array(["train", "val"]),
    )
    return path


def test_a_resumed_training_has_the_whole_curve(tmp_path):
    motions = rendered(tmp_path)

    def trained(seconds: float) -> list[dict[str, float]]:
        plan = Plan(minutes=seconds / 60, painted=2, queries=1, workers=1, save_seconds=0.01)
        plan = replace(plan, dressed=0, dressed_frames_per_clip=0)
        train_tower(plan, Sources(motions=motions), tmp_path)
        return json.loads((tmp_path / "curve.json").read_text())

    first = trained(0.5)
    assert first[0]["step"] == 0
    assert first[0]["pixels"] > 0.5  # twenty classes, nothing learned
    assert all(row["joints"] > 0 and row["traits"] > 0 for row in first)
    again = trained(0.5)
    assert again == first
    longer = trained(first[-1]["seconds"] + 0.5)
    steps = [row["step"] for row in longer]
    assert longer[: len(first)] == first
    assert steps == sorted(set(steps))
    assert len(longer) > len(first) > 1
    _, notes = load_tensors(tmp_path / "tower.safetensors")
    assert json.loads(notes["curve"]) == longer
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.width > 900
        drawn = np.asarray(picture.convert("RGB")).astype(int)
    assert (np.abs(drawn - drawn.mean(2, keepdims=True)).max(2) > 40).sum() > 200  # lines in color


def test_going_on_from_weights_starts_where_they_are(tmp_path):
    motions = rendered(tmp_path)
    first = ImageTower()
    start = save_tensors(tmp_path / "start.safetensors", named_tensors(tower=first))
    plan = Plan(minutes=0.0, painted=2, queries=1, workers=1, dressed=0, dressed_frames_per_clip=0)
    tower = train_tower(plan, Sources(motions=motions, start=start), tmp_path)
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tower.state_dict()[name], tensor, rtol=0, atol=0)
