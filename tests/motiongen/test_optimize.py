from dataclasses import replace

import pytest
import torch

from avatargen.core.progress import Silent
from avatargen.core.rng import stream
from avatargen.core.settings import MotionSettings
from motiongen.candidates import Candidates, prompt_feature
from motiongen.codebook import load_motion_codebook
from motiongen.feet import sole_points
from motiongen.finish import finish_motion
from motiongen.motion_features import JOINTS, Clip, standard_offsets
from motiongen.motion_vae import load_motion_vae
from motiongen.optimize import (
    Goal,
    full_rotations,
    intensity,
    optimise,
    physical_terms,
    picture_scores,
    pose_terms,
    steady_frames,
)
from motiongen.puppet import pictures

QUIET = MotionSettings(
    steps=12, latent_rate=0.05, pose_weight=0.0, intensity_weight=0.0, guidance_weight=0.0, guidance_every=0,
    prior_weight=0.0, slide_weight=0.0, smooth_weight=0.0, floor_weight=0.0, score_frames=4,
)  # fmt: skip


def still_clip(frames: int = 20) -> Clip:
    return Clip(
        rotations=torch.eye(3).expand(1, frames, JOINTS, 3, 3).clone(),
        root=torch.tensor([0.0, 1.05, 0.0]).expand(1, frames, 3).clone(),
        contacts=torch.ones(1, frames, 2),
    )


def goal_of(models, starts, text) -> Goal:
    poses = models.vae.motion(starts).rotations[0, [10, 40], 1:22]
    return Goal(
        text=text,
        candidates=Candidates(poses=poses, scores=torch.tensor([0.5, 0.4])),
        start_scores=torch.zeros(len(starts)),
        intensity=intensity(models.vae.motion(starts), models.vae.offsets),
    )


@pytest.fixture
def run(models, guidance, puppet):
    text = prompt_feature(guidance, "punching")
    starts = models.motions.latents[:3]

    def go(settings, goal=None, seed=0, starts=starts):
        goal = goal or goal_of(models, starts, text)
        return optimise(models.vae, starts, goal, guidance, puppet, settings, stream(seed, "t"), Silent())

    return go


def test_a_motion_that_passes_through_the_candidates_costs_nothing():
    clip = still_clip()
    reached = Candidates(poses=clip.rotations[0, :2, 1:22], scores=torch.zeros(2))
    assert abs(float(pose_terms(clip, reached))) < 1e-5
    other = clip.rotations[0, :1, 1:22] * torch.tensor([1.0, -1.0, -1.0])
    missed = Candidates(poses=torch.cat((reached.poses[:1], other)), scores=torch.zeros(2))
    assert float(pose_terms(clip, missed)) > 0.1


def test_the_better_ranked_candidate_weighs_more():
    clip = still_clip()
    here, there = clip.rotations[0, :1, 1:22], clip.rotations[0, :1, 1:22] * torch.tensor([1.0, -1.0, -1.0])
    first = pose_terms(clip, Candidates(poses=torch.cat((there, here)), scores=torch.zeros(2)))
    second = pose_terms(clip, Candidates(poses=torch.cat((here, there)), scores=torch.zeros(2)))
    assert float(first) == pytest.approx(5 * float(second), rel=1e-3)


def test_a_still_body_on_the_floor_is_physical_and_a_sliding_or_sunk_one_is_not():
    offsets = standard_offsets()
    clip = still_clip()
    calm = physical_terms(clip, offsets)
    assert all(float(value) < 1e-9 for value in calm.values())
    slid = replace(clip, root=clip.root + torch.linspace(0, 0.5, 20)[None, :, None] * torch.tensor([1.0, 0.0, 0.0]))
    speed = 0.5 / 19 * 30
    assert float(physical_terms(slid, offsets)["slide"]) == pytest.approx(speed**2 / (1 + speed**2), rel=1e-3)
    assert float(physical_terms(slid, offsets)["shake"]) < 1e-6
    sunk = replace(clip, root=clip.root - torch.tensor([0.0, 0.3, 0.0]))
    assert float(physical_terms(sunk, offsets)["sunk"]) > 1e-3
    shaken = replace(clip, root=clip.root + 0.1 * (-1.0) ** torch.arange(20)[None, :, None])
    assert float(physical_terms(shaken, offsets)["shake"]) > 1.0


def test_a_foot_that_is_fast_is_let_go_whatever_the_contacts_say():
    clip = still_clip()
    away = torch.linspace(0, 1.0, 20)[None, :, None] * torch.tensor([0.0, 1.0, 0.0])
    pulls = []
    for metres in (0.1, 5.0):
        far = torch.tensor(metres, requires_grad=True)
        physical_terms(replace(clip, root=clip.root + far * away), standard_offsets())["slide"].sum().backward()
        assert far.grad is not None
        pulls.append(float(far.grad))
    assert pulls[1] < 0.05 * pulls[0]


def test_a_jump_is_still_a_jump_after_the_search(guidance, puppet):
    book, vae, joints = load_motion_codebook(), load_motion_vae(), puppet.joints[:24].double().numpy()
    row = int((book.clip == book.names.index("cmu/01_01_mirrored")).nonzero()[0])
    starts = book.latents[row : row + 1]
    clip = vae.motion(starts)
    settings = MotionSettings(guidance_every=0, pose_weight=0.0)
    goal = Goal(
        text=prompt_feature(guidance, "jumping"),
        candidates=Candidates(poses=clip.rotations[0, :1, 1:22], scores=torch.zeros(1)),
        start_scores=torch.zeros(1),
        intensity=intensity(clip, vae.offsets),
    )
    made = optimise(vae, starts, goal, guidance, puppet, settings, stream(0, "t"), Silent()).latents
    before, after = (
        sole_points(finish_motion(latent, vae, puppet, settings, "x"), joints)[..., 1].min((1, 2)).max()
        for latent in (starts[0], made[0])
    )
    assert after > max(0.1, 0.8 * before)


def test_candidates_pull_the_motion_through_them(run, models, guidance):
    starts = models.motions.latents[1:2]
    target = models.vae.motion(models.motions.latents[2:3]).rotations[0, [25], 1:22]
    goal = replace(
        goal_of(models, starts, prompt_feature(guidance, "x")),
        candidates=Candidates(poses=target, scores=torch.zeros(1)),
    )
    before = pose_terms(models.vae.motion(starts), goal.candidates)
    result = run(replace(QUIET, pose_weight=1.0, steps=30), goal, starts=starts)
    after = pose_terms(models.vae.motion(result.latents), goal.candidates)
    assert float(after) < 0.7 * float(before)


def test_intensity_is_driven_to_its_target_from_both_sides(run, models, guidance):
    starts = models.motions.latents[:2]
    goal = goal_of(models, starts, prompt_feature(guidance, "x"))
    now = goal.intensity
    for factor in (0.6, 1.5):
        asked = replace(goal, intensity=factor * now)
        made = run(replace(QUIET, intensity_weight=5.0, steps=40), asked, starts=starts).latents
        got = intensity(models.vae.motion(made), models.vae.offsets)
        assert bool(((got - factor * now).abs() < 0.5 * (now - factor * now).abs()).all())


def test_the_fake_guidances_score_goes_up(models, guidance, puppet):
    starts = models.motions.latents[:2]
    wanted = models.vae.motion(models.motions.latents[2:3]).rotations[0, [20, 30, 40, 50]]
    guidance.teach("squatting", pictures(puppet, full_rotations(wanted), (30.0,), 32).mean(0, keepdim=True))
    settings = replace(QUIET, guidance_weight=1.0, guidance_every=1, guidance_frames=6, steps=30, latent_rate=0.1)
    text = prompt_feature(guidance, "squatting")
    goal = goal_of(models, starts, text)
    result = optimise(models.vae, starts, goal, guidance, puppet, settings, stream(0, "t"), Silent())
    before = picture_scores(
        models.vae.motion(starts), text, guidance, puppet, steady_frames(60, settings.score_frames), 1
    )
    assert float((result.looks - before).mean()) > 0.01


def test_nothing_moves_without_losses_and_the_prior_keeps_latents_near_their_start(run, models):
    starts = models.motions.latents[:3]
    assert torch.equal(run(replace(QUIET, steps=3)).latents, starts)
    free = run(replace(QUIET, smooth_weight=1.0)).latents
    held = run(replace(QUIET, smooth_weight=1.0, prior_weight=1000.0)).latents
    assert float((held - starts).norm()) < float((free - starts).norm())


def test_the_same_seed_gives_the_same_latents_and_another_seed_others(run):
    settings = replace(QUIET, guidance_weight=0.5, guidance_every=2, guidance_frames=2)
    first, again, other = run(settings), run(settings), run(settings, seed=1)
    assert torch.equal(first.latents, again.latents)
    assert not torch.equal(first.latents, other.latents)


def test_the_start_with_the_best_score_is_kept(run, models, guidance):
    starts = models.motions.latents[:3]
    goal = replace(goal_of(models, starts, prompt_feature(guidance, "x")), start_scores=torch.tensor([0.0, 50.0, 0.0]))
    assert run(replace(QUIET, steps=1), goal).best == 1


def test_scored_frames_are_spread_inside_the_motion():
    assert steady_frames(60, 6) == [5, 15, 25, 35, 45, 55]
    assert all(0 <= frame < 20 for frame in steady_frames(20, 20))
