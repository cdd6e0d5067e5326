import math
from dataclasses import replace

import pytest
import torch

from avatargen.core.errors import BrokenFileError, ConfigError, MissingAssetError
from avatargen.core.files import load_tensors
from avatargen.core.progress import Silent
from avatargen.core.rotations import axis_angle_from_matrix
from avatargen.core.settings import MotionSettings
from motiongen import pose_search
from motiongen.candidates import prompt_feature
from motiongen.codebook import load_pose_codebook, pose_features, recoded
from motiongen.pose_flow import POSE_FLOW, PoseFlow, condition_of, load_pose_flow
from motiongen.pose_prior import PosePrior, full_pose, load_open_prior
from motiongen.pose_search import GENERATORS, find_candidates
from motiongen.puppet import pictures
from motiongen.train_flow import train_pose_flow

TINY = MotionSettings(
    codebook_entries=12, codebook_views=1, top_k=3, candidate_steps=3, candidate_rate=0.1, flow_samples=6
)


@pytest.fixture
def flow_file(models, guidance, puppet, tmp_path):
    book = models.poses.first(12)
    seen = pose_features(guidance, puppet, models.prior, book, (30.0,), Silent())
    train_pose_flow(book, seen, tmp_path / "flow.safetensors", steps=2, batch=8, hidden=8, couplings=2)
    return tmp_path / "flow.safetensors"


@pytest.fixture
def find(models, guidance, puppet, flow_file):
    def go(settings, text="punching", seed=0):
        feature = prompt_feature(guidance, text)
        return find_candidates(
            feature, guidance, puppet, models.prior, models.poses, flow_file, settings, seed, Silent()
        )

    return go


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("count", [1, 7])
def test_every_generator_gives_as_many_poses_as_are_asked_for_best_first(find, kind, count):
    found = find(replace(TINY, candidates=kind, top_k=count))
    assert len(found.poses) == min(count, 6 if kind == "realnvp" else 12)
    assert bool((found.scores.diff() <= 0).all())
    unit = found.poses @ found.poses.transpose(-1, -2)
    torch.testing.assert_close(unit, torch.eye(3).expand_as(unit), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["latent", "theta", "realnvp"])
def test_what_is_drawn_is_decided_by_the_seed(find, kind):
    settings = replace(TINY, candidates=kind)
    first, again, other = find(settings), find(settings), find(settings, seed=1)
    assert torch.equal(first.poses, again.poses)
    assert not torch.equal(first.poses, other.poses)


@pytest.mark.parametrize("kind", ["latent", "theta"])
def test_turning_poses_toward_a_text_brings_them_nearer_to_it(find, guidance, puppet, kind, monkeypatch):
    monkeypatch.setattr("motiongen.pose_search.FRONT_VIEWS", (30.0,))
    pose = torch.zeros(1, 21, 3)
    pose[0, [15, 16], 2] = torch.tensor([-1.0, 1.0])  # arms down
    from avatargen.core.rotations import matrix_from_axis_angle

    guidance.teach("drooping", pictures(puppet, full_pose(matrix_from_axis_angle(pose)), (30.0,), 32))
    settings = replace(TINY, candidates=kind, candidate_rate=0.05, top_k=2)
    before = find(replace(settings, candidate_steps=1, candidate_rate=1e-6), "drooping").scores.mean()
    after = find(replace(settings, candidate_steps=25), "drooping").scores.mean()
    assert float(after) > float(before) + 0.005


@pytest.mark.parametrize(("bad", "calls"), [({2}, 4), (range(2, 99), 7)])
def test_a_loss_that_is_no_number_is_taken_back_and_the_poses_stay_sound(find, monkeypatch, bad, calls):
    real, seen = pose_search.similarity_loss, []

    def sometimes_broken(image, text):
        seen.append(1)
        return real(image, text) * (float("nan") if len(seen) in bad else 1.0)

    monkeypatch.setattr(pose_search, "similarity_loss", sometimes_broken)
    found = find(replace(TINY, candidates="latent"))
    assert len(seen) == calls
    assert bool(torch.isfinite(found.poses).all())


def test_an_unknown_generator_is_named(find):
    with pytest.raises(ConfigError, match="magic"):
        find(replace(TINY, candidates="magic"))


@pytest.fixture
def flow():
    flow = PoseFlow(6, hidden=16, couplings=4)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return flow.double()


def test_the_flow_undoes_itself_and_counts_volume_as_its_jacobian_does(flow):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    condition = torch.rand(5, 12, generator=generator, dtype=torch.float64) + 0.2
    normal, volume = flow.normalise(latents, condition)
    torch.testing.assert_close(flow.sample(normal, condition), latents)
    for row in range(5):

        def one(x, c=condition[row : row + 1]):
            return flow.normalise(x[None], c)[0][0]

        jacobian = torch.autograd.functional.jacobian(one, latents[row])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], volume[row])


def test_an_untrained_flow_is_the_normal_distribution_that_its_condition_names():
    flow = PoseFlow(4, hidden=8, couplings=2)
    with torch.no_grad():
        for coupling in flow.couplings:
            coupling.net[4].weight.zero_()
            coupling.net[4].bias.zero_()
    condition = torch.tensor([[1.0, 2.0, 3.0, 4.0, 0.5, 0.5, 2.0, 1.0]])
    at_mean = flow.requires_grad_(False).log_likelihood(condition[:, :4], condition)
    expected = -4 * 0.5 * math.log(2 * math.pi) - math.log(0.5 * 0.5 * 2.0 * 1.0)
    assert float(at_mean) == pytest.approx(expected, rel=1e-5)


def test_the_condition_depends_on_ranks_alone():
    generator = torch.Generator().manual_seed(2)
    latents, scores = torch.randn(60, 5, generator=generator), torch.randn(2, 60, generator=generator)
    torch.testing.assert_close(condition_of(scores, latents), condition_of(0.1 * scores.exp() + 7.0, latents))
    assert condition_of(scores[:, :3], latents[:3]).isfinite().all()


def test_a_flow_of_another_codebook_is_refused_and_a_damaged_one_named(flow_file, models, tmp_path):
    with pytest.raises(MissingAssetError, match="another pose codebook"):
        load_pose_flow(flow_file, "other")
    with pytest.raises(MissingAssetError, match="motiongen train flow"):
        load_pose_flow(tmp_path / "none.safetensors", models.poses.version)
    tensors, metadata = load_tensors(flow_file)
    from avatargen.core.files import save_tensors

    tensors.pop(next(iter(tensors)))
    save_tensors(tmp_path / "half.safetensors", tensors, metadata)
    with pytest.raises(BrokenFileError, match="half"):
        load_pose_flow(tmp_path / "half.safetensors", models.poses.version)


def test_the_shipped_flow_belongs_to_the_shipped_codebook_and_draws_human_poses():
    book, prior = load_pose_codebook(), load_open_prior()
    flow = load_pose_flow(POSE_FLOW, book.version)
    assert POSE_FLOW.stat().st_size < 2_000_000
    generator = torch.Generator().manual_seed(0)
    condition = condition_of(torch.randn(1, len(book.latents), generator=generator), book.latents).expand(200, -1)
    poses = prior.decode(flow.sample(0.8 * torch.randn(200, 32, generator=generator), condition))
    from avatargen.body.skeleton import limit_excess

    beyond = torch.rad2deg(limit_excess(full_pose(poses)))
    assert float((beyond > 10.0).float().mean()) < 0.03


def test_a_codebook_told_to_another_prior_keeps_its_poses():
    book, prior = load_pose_codebook().first(40), load_open_prior()
    again = recoded(book, prior, prior)
    apart = axis_angle_from_matrix(prior.decode(again.latents)) - axis_angle_from_matrix(prior.decode(book.latents))
    assert float(apart.abs().mean()) < 0.1
    assert again.version != book.version
    assert recoded(book, prior, PosePrior(8).eval()).version != again.version
