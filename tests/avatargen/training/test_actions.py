"""Words of actions are taught anew without touching the rest of the guidance."""

from dataclasses import asdict
from importlib.resources import files

import numpy as np
import torch

from avatargen.core.files import load_tensors
from avatargen.core.rng import numpy_stream
from avatargen.guidance.embedded.embedding import POSE_WIDTH
from avatargen.guidance.embedded.model import load_embedded
from avatargen.training.actions import teach_actions
from avatargen.training.gbuffers import render_pose_buffers
from avatargen.training.motions import MotionSet, clips_of, even_frames


def test_words_and_poses_change_and_nothing_else_does(tmp_path):
    generator = np.random.default_rng(2)
    motions = MotionSet(
        axis_angle=generator.normal(0, 0.2, (20, 24, 3)).astype(np.float32),
        clip_start=np.array([0, 10, 20]),
        names=("a", "b"),
        phrases=(("walk",), ("juggle", "throw balls")),
        splits=("train", "train"),
    )
    shipped = files("avatargen.guidance.embedded").joinpath("data/embedded.safetensors").read_bytes()
    weights = tmp_path / "embedded.safetensors"
    weights.write_bytes(shipped)
    before, _ = load_tensors(weights)
    # As the command keeps them: rendered here without processes of their own.
    frames = even_frames(motions, clips_of(motions, "train"), 1, numpy_stream(0, "actions"))
    np.savez(tmp_path / "actions.npz", **asdict(render_pose_buffers(5, "actions/0", frames)))
    teach_actions(motions, weights, tmp_path, frames_per_clip=1, steps=2)
    after, _ = load_tensors(weights)
    assert set(before) | {"usual"} == set(after)
    changed = {name.partition("/")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"words", "pose", "usual"}
    usual = load_embedded(weights=weights).usual
    assert usual is not None
    assert 0.1 < float(usual.norm()) <= 1.0
    assert not usual[-POSE_WIDTH - 2 :].any()
