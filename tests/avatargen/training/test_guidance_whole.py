"""`avatargen train guidance` from the first render to weights that load, as small as it goes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatargen.core.files import load_tensors
from avatargen.core.progress import Silent
from avatargen.guidance.embedded.model import load_embedded
from avatargen.training.guidance import train_guidance
from avatargen.training.plan import Plan, Sources, pose_rows, rows_to_read, source_of

SMALL = Plan(
    minutes=0.01, bodies=2, frames_per_clip=2, dressed=0, dressed_frames_per_clip=0, query_bodies=2, held_out=1,
    painted=2, queries=1, workers=1, joint_steps=2, word_steps=3,
)  # fmt: skip


@pytest.fixture
def motions(tmp_path) -> Path:
    """Three clips to learn from, one to judge by."""
    generator = np.random.default_rng(3)
    path = tmp_path / "set.npz"
    np.savez(
        path,
        axis_angle=generator.normal(0, 0.2, (80, 24, 3)).astype(np.float32),
        clip_start=np.array([0, 20, 40, 60, 80]),
        names=np.array(["a", "b", "c", "d"]),
        labels=np.array(["walk", "run", "throw a punch", "wave"]),
        alternatives=np.array(["stroll", "", "punch|box", ""]),
        split=np.array(["train", "train", "train", "val"]),
    )
    return path


class Heard(Silent):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, line: str) -> None:
        self.notes.append(line)


def usable(weights: Path) -> torch.Tensor:
    """Both kinds of features by these weights have unit length."""
    guidance = load_embedded(weights=weights)
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = guidance.encode_image(images)
        said = guidance.encode_text(["a man in a red shirt", "a person throwing a punch"])
    for features in (seen, said):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    return seen


def test_the_whole_training_leaves_weights_that_load_and_can_be_gone_on_from(tmp_path, motions):
    told = Heard()
    first = train_guidance(SMALL, Sources(motions=motions), tmp_path / "first", reporter=told)
    assert first == tmp_path / "first" / "embedded.safetensors"
    assert any("words outside the lexicon will be ignored" in note for note in told.notes)
    seen = usable(first)
    tensors, notes = load_tensors(first)
    assert notes["trained minutes"] == "0.01"
    assert {name.partition("/")[0] for name in tensors} >= {"tower", "reader", "words", "pose", "usual"}

    # Nothing is rendered or trained twice: what is resumed is byte for byte what was there.
    whole = first.read_bytes()
    train_guidance(SMALL, Sources(motions=motions), tmp_path / "first", reporter=Silent())
    assert first.read_bytes() == whole

    # No minutes from those weights: the tower is the same, up to the half precision that it was kept in.
    plan = replace(SMALL, minutes=0.0)
    again = train_guidance(plan, Sources(motions=motions, start=first), tmp_path / "again", reporter=Silent())
    kept = load_tensors(again)[0]
    for name in (name for name in tensors if name.startswith("tower/")):
        assert torch.equal(kept[name], tensors[name]), name
    assert usable(again).shape == seen.shape


def test_every_clip_is_read_from_poses_of_its_own(tmp_path, motions):
    plan = replace(SMALL, frames_per_clip=3)
    source = source_of(plan, Sources(motions=motions), tmp_path, "read")
    rows, clip = rows_to_read(source, 3, plan)
    assert sorted(rows) == sorted(pose_rows(source, 3, plan))
    assert clip.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    # Both sides of a pose have the same joints, and no other pose has.
    joints = source._buffers.joints[rows].reshape(9, 2, -1)
    np.testing.assert_allclose(joints[:, 0], joints[:, 1], atol=1e-5)
    assert len(np.unique(joints[:, 0].round(3), axis=0)) > 6  # a frame may be drawn twice


@pytest.mark.slow
def test_with_clothes_too(tmp_path, motions):
    plan = replace(SMALL, dressed=1, dressed_frames_per_clip=2)
    usable(train_guidance(plan, Sources(motions=motions), tmp_path / "out", reporter=Silent()))
    source = source_of(plan, Sources(motions=motions), tmp_path / "out", "read")
    rows, clip = rows_to_read(source, 3, plan)
    bare = set(pose_rows(source, 3, plan).tolist())
    assert clip.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert sum(row in bare for row in rows.tolist()) == 12
    assert len(set(rows.tolist())) == 24
