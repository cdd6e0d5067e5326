import pytest
import torch

from avatargen.core.rotations import matrix_from_axis_angle
from motiongen.candidates import Candidates, prompt_feature
from motiongen.motion_features import JOINTS, Clip
from motiongen.original import original_look, original_terms


def turning(step: float, frames: int = 60) -> Clip:
    angle = torch.zeros(1, frames, JOINTS, 3)
    angle[0, :, 16, 1] = step * torch.arange(frames)
    rotations = matrix_from_axis_angle(angle)
    return Clip(rotations=rotations, root=torch.zeros(1, frames, 3), contacts=torch.zeros(1, frames, 2))


def test_movement_is_rewarded_by_its_squared_size():
    clip = turning(0.01)
    reached = Candidates(poses=clip.rotations[0, :1, 1:22], scores=torch.zeros(1))
    # One of 63 angles changes by the step in every frame.
    assert float(original_terms(clip, reached)) == pytest.approx(-0.01 * 0.01**2 / 63, rel=1e-3)


def test_candidates_weigh_by_rank_and_any_number_may_be_given():
    clip = turning(0.0)
    away = matrix_from_axis_angle(torch.full((1, 21, 3), 0.5))
    here = clip.rotations[0, :1, 1:22]
    single = float(original_terms(clip, Candidates(poses=away, scores=torch.zeros(1))))
    for rank, weight in enumerate((1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2)):
        poses = here.repeat(8, 1, 1, 1)
        poses[rank] = away[0]
        found = float(original_terms(clip, Candidates(poses=poses, scores=torch.zeros(8))))
        assert found == pytest.approx(weight * single, rel=1e-4)


def test_two_frames_a_step_are_looked_at(guidance, puppet):
    text = prompt_feature(guidance, "punching")
    loss = original_look(turning(0.01), text, guidance, puppet, torch.Generator().manual_seed(0))
    assert guidance.looks == 2
    assert 0.0 < float(loss) < 0.001 * 2 * 2
