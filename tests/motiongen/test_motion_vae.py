import pytest
import torch

from avatargen.core.errors import BrokenFileError, InputError, MissingAssetError
from avatargen.core.rng import stream
from avatargen.core.rotations import matrix_from_axis_angle
from motiongen.motion_features import (
    CONTACT,
    HEIGHT,
    JOINTS,
    REST_HEIGHT,
    VELOCITY,
    Clip,
    canonical,
    from_features,
    heading,
    joint_positions,
    standard_offsets,
    to_features,
    yaw_matrix,
)
from motiongen.motion_vae import LossWeights, MotionVae, build_motion_vae, load_motion_vae, motion_loss
from motiongen.train_motion import held_out_windows, measure_reconstruction, train_motion_vae
from motiongen.training import Plan, initialise, train
from motiongen.windows import cut_windows, read_motion_set


def random_clip(frames: int = 60, batch: int = 3) -> Clip:
    generator = stream(1, "clip")
    turns = 0.5 * torch.randn(batch, 1, JOINTS, 3, generator=generator)
    turns = turns + 0.02 * torch.randn(batch, frames, JOINTS, 3, generator=generator).cumsum(1)
    root = 0.02 * torch.randn(batch, frames, 3, generator=generator).cumsum(1) + 1.0
    contacts = torch.rand(batch, frames, 2, generator=generator)
    return Clip(rotations=matrix_from_axis_angle(turns), root=root, contacts=contacts)


def test_features_and_back_is_the_canonical_clip():
    clip = random_clip()
    back, told = from_features(to_features(clip)), canonical(clip)
    torch.testing.assert_close(back.rotations, told.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(back.root, told.root, atol=1e-5, rtol=0)
    assert bool((heading(back.rotations[:, 0, 0]).abs() < 1e-5).all())


def test_turning_and_shifting_a_clip_leaves_its_features():
    clip = random_clip()
    turn = yaw_matrix(torch.tensor(1.1))
    rotations = clip.rotations.clone()
    rotations[:, :, 0] = turn @ rotations[:, :, 0]
    moved = Clip(rotations=rotations, root=clip.root @ turn.T + torch.tensor([3.0, 0.0, -2.0]), contacts=clip.contacts)
    torch.testing.assert_close(to_features(moved), to_features(clip), atol=1e-4, rtol=0)


def test_joint_positions_equal_a_joint_by_joint_walk(puppet):
    clip = random_clip(frames=2, batch=1)
    offsets = standard_offsets()
    fast = joint_positions(clip.rotations, offsets)
    world, place = [clip.rotations[:, :, 0]], [torch.zeros(1, 2, 3)]
    for joint in range(1, JOINTS):
        parent = puppet.parents[joint]
        place.append(place[parent] + world[parent] @ offsets[joint])
        world.append(world[parent] @ clip.rotations[:, :, joint])
    torch.testing.assert_close(fast, torch.stack(place, dim=2))


def test_a_loop_goes_round_and_a_short_clip_is_held(motions):
    times = torch.tensor([[0.0, 40.0, 80.0, 47.5]])
    looped = cut_windows(motions, torch.tensor([1]), times)
    torch.testing.assert_close(looped.rotations[0, 0, 1:], looped.rotations[0, 2, 1:], atol=1e-5, rtol=0)
    at = cut_windows(motions, torch.tensor([1]), torch.tensor([[7.5]]))
    torch.testing.assert_close(looped.rotations[0, 3, 1:], at.rotations[0, 0, 1:], atol=1e-5, rtol=0)
    held = cut_windows(motions, torch.tensor([2]), torch.tensor([[-5.0, 0.0, 49.0, 70.0]]))
    torch.testing.assert_close(held.rotations[0, 0], held.rotations[0, 1])
    torch.testing.assert_close(held.rotations[0, 2], held.rotations[0, 3])


def test_a_turning_loop_keeps_turning(set_path, tmp_path):
    import numpy as np

    arrays = dict(np.load(set_path))
    arrays["loop"] = np.array([False, False, False, True])
    np.savez(tmp_path / "turn.npz", **arrays)
    motions = read_motion_set(tmp_path / "turn.npz")
    once, later = 30.0, 30.0 + 2 * 89.0
    window = cut_windows(motions, torch.tensor([3]), torch.tensor([[once, later]]))
    turned = heading(window.rotations[0, 1, 0]) - heading(window.rotations[0, 0, 0])
    told = 2 * 1.5 * 89 / 30
    assert abs(torch.sin(turned - told)) < 0.01


def test_the_linear_part_alone_beats_the_mean_and_keeps_speed(motions, tiny_vae):
    windows = held_out_windows(motions, train=True)
    kept = measure_reconstruction(tiny_vae, windows)
    rows = to_features(windows)
    apart = joint_positions(from_features(rows).rotations, tiny_vae.offsets) - joint_positions(
        from_features(tiny_vae.mean.expand(len(rows), -1, -1)).rotations, tiny_vae.offsets
    )
    assert kept["joints [cm]"] < 0.5 * 100 * REST_HEIGHT * float(apart.norm(dim=-1).mean())
    assert kept["wrist speed kept"] > 0.8


def test_projection_and_rebuilding_are_inverse_on_the_latents(tiny_vae):
    latents = torch.randn(4, 16, generator=stream(0, "z"))
    torch.testing.assert_close(tiny_vae.project(tiny_vae.rebuild(latents)), latents, atol=1e-3, rtol=1e-3)


def test_fewer_frames_are_the_start_of_more_and_more_than_sixty_are_refused(tiny_vae):
    latents = torch.randn(2, 16, generator=stream(0, "z"))
    torch.testing.assert_close(tiny_vae.decode(latents, 33), tiny_vae.decode(latents)[:, :33])
    with pytest.raises(ValueError, match="60"):
        tiny_vae.decode(latents, 61)


def test_the_loss_is_zero_for_a_motion_that_is_the_mean():
    vae = MotionVae(size=16, inner=16, encoder_layers=1, decoder_layers=1, latent=4).requires_grad_(requires_grad=False)
    initialise(vae, stream(0, "zero"))
    features = to_features(random_clip(batch=2))[:1].expand(8, -1, -1)
    vae.fit_linear(features + 1e-3 * torch.randn(features.shape, generator=stream(0, "n")), stream(0, "l"))
    vae.mean.copy_(features[0])
    parts = motion_loss(vae, features, torch.zeros(8, 4), LossWeights(skate=0.0, divergence=0.0))
    assert float(sum(parts.values())) < 1e-4
    moved = features.clone()
    moved[..., HEIGHT] += 0.1
    moved[..., VELOCITY] += 0.5
    moved[..., CONTACT] += 0.5
    worse = motion_loss(vae, moved, torch.zeros(8, 4), LossWeights(skate=0.0, divergence=0.0))
    assert all(float(worse[name]) > float(parts[name]) + 1e-4 for name in ("root", "path", "contact"))


def test_training_cut_in_two_ends_in_the_same_weights(motions, tmp_path, monkeypatch):
    monkeypatch.setattr("motiongen.train_motion._LINEAR", 64)

    def tiny():
        return MotionVae(size=8, inner=8, encoder_layers=1, decoder_layers=1, latent=8)

    def run(vae, checkpoint, stop_after=None):
        train_motion_vae(
            motions,
            tmp_path / "out.safetensors",
            steps=6,
            batch=4,
            checkpoint=checkpoint,
            stop_after=stop_after,
            vae=vae,
        )
        return vae.state_dict()

    whole = run(tiny(), None)
    run(tiny(), tmp_path / "cut.ckpt", stop_after=3)
    resumed = run(tiny(), tmp_path / "cut.ckpt")
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


def test_without_steps_the_linear_part_is_all_there_is(motions, tmp_path, monkeypatch):
    monkeypatch.setattr("motiongen.train_motion._LINEAR", 64)
    vae = MotionVae(size=8, inner=8, encoder_layers=1, decoder_layers=1, latent=8)
    curve = train_motion_vae(motions, tmp_path / "out.safetensors", steps=0, vae=vae)
    assert [row["step"] for row in curve] == [0.0]
    latents = torch.randn(3, 8, generator=stream(0, "z"))
    torch.testing.assert_close(vae.decode(latents), vae.rebuild(latents) * vae.scale + vae.mean)
    features = to_features(held_out_windows(motions))
    torch.testing.assert_close(vae.encode(features)[0], vae.project(vae.normalised(features)))


def test_a_foreign_checkpoint_is_refused(motions, tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(b"no tensors")
    model = torch.nn.Linear(2, 2)
    with pytest.raises(BrokenFileError, match=r"bad\.ckpt"):
        train(model, lambda *_: {}, lambda _: {}, Plan(steps=1), seed=0, checkpoint=tmp_path / "bad.ckpt")


def test_broken_sets_and_weights_are_named(set_path, tmp_path):
    import numpy as np

    with pytest.raises(InputError, match="not found"):
        read_motion_set(tmp_path / "none.npz")
    (tmp_path / "cut.npz").write_bytes(set_path.read_bytes()[:200])
    with pytest.raises(BrokenFileError, match=r"cut\.npz"):
        read_motion_set(tmp_path / "cut.npz")
    arrays = dict(np.load(set_path)) | {"clip_start": np.array([0, 5])}
    np.savez(tmp_path / "starts.npz", **arrays)
    with pytest.raises(BrokenFileError, match="clip_start"):
        read_motion_set(tmp_path / "starts.npz")
    with pytest.raises(MissingAssetError, match="motiongen train motion"):
        load_motion_vae(tmp_path / "none.safetensors")
    with pytest.raises(BrokenFileError, match="here"):
        build_motion_vae({"to_mean.weight": torch.zeros(2, 2)}, "here")


def test_the_shipped_vae_decodes_its_codebook_to_smooth_upright_windows():
    from motiongen.codebook import load_motion_codebook

    vae, book = load_motion_vae(), load_motion_codebook()
    clip = vae.motion(book.latents[::40])
    joints = joint_positions(clip.rotations, vae.offsets) * REST_HEIGHT
    jerk = (joints.diff(n=3, dim=1) * 30**3).norm(dim=-1).mean()
    assert bool(clip.root.isfinite().all())
    assert float(jerk) < 250.0
    assert float(clip.root[..., 1].median()) > 0.75
