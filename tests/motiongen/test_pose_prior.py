import math

import pytest
import torch

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import save_tensors
from avatargen.core.rotations import angle_between, axis_angle_from_matrix, matrix_from_axis_angle
from motiongen.pose_prior import PosePrior, build_pose_prior, full_pose, load_open_prior, load_vposer, pose_loss
from motiongen.train_pose import layered, reconstruction_error, whiten


def random_poses(count: int, size: float = 0.4) -> torch.Tensor:
    return size * torch.randn(count, 21, 3, generator=torch.Generator().manual_seed(1))


def test_its_state_dict_has_vposers_names_and_shapes():
    shapes = {name: tuple(tensor.shape) for name, tensor in PosePrior(512).state_dict().items()}
    assert shapes["encoder_net.1.running_mean"] == (63,)
    assert shapes["encoder_net.2.weight"] == (512, 63)
    assert shapes["encoder_net.4.weight"] == (512,)
    assert shapes["encoder_net.6.weight"] == shapes["encoder_net.7.weight"] == (512, 512)
    assert shapes["encoder_net.8.mu.weight"] == shapes["encoder_net.8.logvar.weight"] == (32, 512)
    assert shapes["decoder_net.0.weight"] == (512, 32)
    assert shapes["decoder_net.3.weight"] == (512, 512)
    assert shapes["decoder_net.5.weight"] == (126, 512)


def test_a_lightning_checkpoint_with_vposers_layout_loads_by_weights_only(tmp_path):
    prior = PosePrior(24).eval()
    state = {f"vp_model.{name}": tensor for name, tensor in prior.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "V02_05.ckpt")
    loaded = load_vposer(tmp_path)
    latents = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.decode(latents), prior.decode(latents))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    torch.save({"state_dict": Evil()}, tmp_path / "bad.ckpt")
    with pytest.raises(BrokenFileError, match=r"bad\.ckpt"):
        load_vposer(tmp_path)


def test_missing_and_foreign_weights_are_named(tmp_path):
    with pytest.raises(MissingAssetError, match="smpl-x"):
        load_vposer(tmp_path)
    save_tensors(tmp_path / "other.safetensors", {"x": torch.zeros(2)})
    with pytest.raises(BrokenFileError, match=r"decoder_net\.0\.weight"):
        load_vposer(tmp_path)
    wrong = PosePrior(24).state_dict() | {"encoder_net.6.weight": torch.zeros(3, 3)}
    with pytest.raises(BrokenFileError, match=r"encoder_net\.6\.weight has shape \(3, 3\)"):
        build_pose_prior(wrong, "wrong.safetensors")


def test_six_numbers_are_read_as_vposer_writes_them():
    # VPoser views a joint's six numbers as a 3 x 2 matrix: columns alternate.
    prior = PosePrior(8).eval()
    turn = matrix_from_axis_angle(torch.tensor([0.3, -0.5, 0.9]))
    with torch.no_grad():
        prior.decoder_net[5].weight.zero_()
        prior.decoder_net[5].bias.copy_(turn[:, :2].reshape(6).repeat(21))
        decoded = prior.decode(torch.zeros(1, 32))
    torch.testing.assert_close(decoded[0], turn.expand(21, 3, 3))


def test_the_angle_of_the_loss_is_the_geodesic_one(tiny_prior):
    # The tiny decoder is at the T-pose: each joint is off by its own rotation angle.
    with torch.no_grad():
        weight = tiny_prior.decoder_net[5].weight.clone()
        tiny_prior.decoder_net[5].weight.zero_()
        axis_angle = random_poses(7)
        loss = pose_loss(tiny_prior, axis_angle, torch.zeros(7, 32), 0.0)
        tiny_prior.decoder_net[5].weight.copy_(weight)
    torch.testing.assert_close(loss.angle, axis_angle.norm(dim=-1).mean(), atol=1e-4, rtol=1e-4)


def test_whitening_makes_latents_standard_and_keeps_reconstructions():
    prior = PosePrior(32).eval().requires_grad_(requires_grad=False)
    poses = random_poses(600)
    weights = torch.full((600,), 1 / 600)
    before = reconstruction_error(prior, poses, weights)
    whiten(prior, poses)
    mean, deviation = prior.encode_vectors(poses)
    spread = torch.cov(mean.T, correction=0)
    assert mean.mean(0).abs().max() < 1e-3
    assert float(torch.linalg.eigvalsh(spread).max()) < 1.05
    assert math.isclose(before, reconstruction_error(prior, poses, weights), rel_tol=1e-3)
    assert bool((deviation > 0).all())


def test_layered_poses_take_each_limb_from_some_pose():
    poses = torch.arange(10.0)[:, None, None].expand(10, 21, 3)
    mixed = layered(poses, torch.Generator().manual_seed(0))
    left_arm = [j - 1 for j in (13, 16, 18, 20)]
    assert bool((mixed[:, left_arm] == mixed[:, left_arm[:1]]).all())
    assert len(mixed[:, 0, 0].unique()) > 3
    assert bool((mixed.flatten(1).max(1).values > mixed.flatten(1).min(1).values).any())


def test_the_shipped_prior_makes_poses_within_reach_of_a_human():
    prior = load_open_prior()
    latents = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    rotations = prior.decode(latents)
    angles = torch.acos(((rotations.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1))
    # Spine joints bend little, knees and elbows under 160 degrees.
    assert math.degrees(float(angles[:, [2, 5, 8]].quantile(0.99))) < 60
    assert math.degrees(float(angles.max())) < 170
    assert full_pose(rotations).shape == (200, 24, 3, 3)


def test_the_closest_latent_of_a_decoded_pose_decodes_to_that_pose():
    prior = load_open_prior()
    latents = torch.randn(50, 32, generator=torch.Generator().manual_seed(3))
    poses = prior.decode(latents)
    guessed = angle_between(prior.decode(prior.encode(poses)[0]), poses).mean()
    found = angle_between(prior.decode(prior.closest(poses)), poses).mean()
    assert math.degrees(float(found)) < 0.6 * math.degrees(float(guessed))
    torch.testing.assert_close(prior.closest(poses, steps=0), prior.encode(poses)[0])
    vectors, evenly = axis_angle_from_matrix(poses), torch.full((50,), 1 / 50)
    assert math.isclose(
        reconstruction_error(prior, vectors, evenly, closest=True), math.degrees(float(found)), rel_tol=0.05
    )


def lightning_file(prior: PosePrior, path) -> None:
    """A checkpoint as Lightning leaves it: weights beside objects of classes that a reader does not have."""
    import sys
    from types import ModuleType

    module = ModuleType("made_up_configuration")

    class Configer(dict):
        pass

    Configer.__module__, Configer.__qualname__ = "made_up_configuration", "Configer"
    module.Configer = Configer
    sys.modules["made_up_configuration"] = module
    state = {f"vp_model.{name}": tensor for name, tensor in prior.state_dict().items()}
    state["bm_train.weights"] = torch.zeros(3)  # VPoser's file also carries its body model
    try:
        torch.save({"hyper_parameters": Configer(lr=1e-3), "callbacks": {Configer: 3}, "state_dict": state}, path)
    finally:
        del sys.modules["made_up_configuration"]


def test_a_checkpoint_full_of_foreign_objects_gives_its_weights_and_runs_nothing(tmp_path):
    prior = PosePrior(24).eval()
    (tmp_path / "snapshots").mkdir()
    lightning_file(prior, tmp_path / "snapshots" / "V02_05_epoch=13.ckpt")
    loaded = load_vposer(tmp_path)
    latents = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded.decode(latents), prior.decode(latents))
    poses = random_poses(5)
    torch.testing.assert_close(loaded.encode_vectors(poses), prior.encode_vectors(poses))


def test_a_damaged_checkpoint_is_named(tmp_path):
    whole = tmp_path / "whole.ckpt"
    lightning_file(PosePrior(24), whole)
    data = whole.read_bytes()
    whole.unlink()
    for size in (0, 10, len(data) // 2):
        (tmp_path / "cut.ckpt").write_bytes(data[:size])
        with pytest.raises(BrokenFileError, match=r"cut\.ckpt"):
            load_vposer(tmp_path)


def test_a_plugged_in_vposer_is_what_motions_are_made_with(tmp_path):
    from avatargen.core.settings import MotionSettings
    from motiongen.generate import load_models

    prior = PosePrior(24).eval()
    lightning_file(prior, tmp_path / "V02_05.ckpt")
    models = load_models(MotionSettings(prior="vposer", vposer=str(tmp_path)))
    assert models.prior.hidden == 24
    open_models = load_models(MotionSettings())
    poses = open_models.prior.decode(open_models.poses.latents[:8])
    told, guess = models.prior.decode(models.poses.latents[:8]), models.prior.decode(models.prior.encode(poses)[0])
    assert float(angle_between(told, poses).mean()) < float(angle_between(guess, poses).mean())
    with pytest.raises(MissingAssetError, match="VPoser"):
        load_models(MotionSettings(prior="vposer", vposer=str(tmp_path / "none")))


def test_outputs_equal_those_of_human_body_prior():
    """With the extra [vposer] installed: the same weights, the same numbers."""
    model = pytest.importorskip("human_body_prior.models.vposer_model")
    from types import SimpleNamespace as Named

    theirs = model.VPoser(Named(model_params=Named(num_neurons=24, latentD=32))).eval()
    ours = build_pose_prior(theirs.state_dict(), "theirs")
    poses, latents = random_poses(6), torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
    normal = theirs.encode(poses.flatten(1))
    torch.testing.assert_close(ours.encode_vectors(poses)[0], normal.mean)
    torch.testing.assert_close(ours.encode_vectors(poses)[1], normal.scale)
    decoded = theirs.decode(latents)["pose_body"].reshape(6, 21, 3)
    torch.testing.assert_close(ours.decode(latents), matrix_from_axis_angle(decoded), atol=1e-4, rtol=0)
