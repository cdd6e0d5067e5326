import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from avatargen.core.errors import ConfigError, InputError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Silent
from avatargen.core.settings import MotionSettings
from avatargen.core.values import Motion
from motiongen.candidates import word_scores
from motiongen.cli import main
from motiongen.codebook import load_motion_codebook
from motiongen.finish import finish_motion, resample, stand
from motiongen.generate import generate_motion
from motiongen.importers.retarget import mirror
from motiongen.kinematics import positions_from_world, world_rotations
from motiongen.manner import Manner
from motiongen.motion_vae import load_motion_vae
from motiongen.physics import floor_penetration, foot_skate_ratio
from motiongen.training_stages import run_stage

TINY = MotionSettings(
    codebook_entries=6, codebook_views=1, top_k=9, starts=3, shortlist=3, steps=3, guidance_every=2,
    guidance_frames=1, score_frames=2,
)  # fmt: skip


@pytest.fixture
def go(body, guidance, models):
    def run(text="punching", settings=TINY, seed=0, **more):
        return generate_motion(text, body, guidance, settings, seed, models=models, **more)

    return run


def test_a_text_becomes_a_motion_on_the_floor_with_more_candidates_asked_than_there_are(go, puppet):
    motion = go()
    assert motion.rotations.shape == (60, 24, 3, 3)
    assert motion.joint_names == SMPL_JOINTS
    assert motion.name == "punching"
    eye = np.einsum("tjab,tjcb->tjac", motion.rotations, motion.rotations)
    np.testing.assert_allclose(eye, np.broadcast_to(np.eye(3), eye.shape), atol=1e-4)
    assert floor_penetration(motion, puppet.joints.double().numpy()) < 0.01


def test_the_same_seed_is_identical_and_another_differs(go):
    first, again, other = go(seed=3), go(seed=3), go(seed=4)
    assert np.array_equal(first.rotations, again.rotations)
    assert np.array_equal(first.root_position, again.root_position)
    assert not np.array_equal(first.rotations, other.rotations)


@pytest.mark.parametrize(
    "more", [{"sequence": "interpolation"}, {"sequence": "interpolation", "top_k": 1}, {"losses": "original"}]
)
def test_the_baseline_and_the_originals_losses_make_motions_too(go, more):
    motion = go(settings=replace(TINY, **more))
    assert motion.rotations.shape == (60, 24, 3, 3)
    assert bool(np.isfinite(motion.rotations).all())


def test_the_baseline_passes_through_its_poses(go, models):
    from motiongen.candidates import Candidates
    from motiongen.generate import interpolated

    poses = models.prior.decode(models.poses.latents[:3])
    clip = interpolated(Candidates(poses=poses, scores=torch.zeros(3)), models.prior, 61)
    again = models.prior.decode(models.prior.closest(poses))
    torch.testing.assert_close(clip.rotations[0, [0, 30, 60], 1:22], again, atol=1e-5, rtol=0)


def test_a_loop_is_as_long_as_asked(go):
    motion = go(settings=replace(TINY, seconds=1.5, fps=24.0, loop=True, in_place=True))
    assert len(motion.rotations) == 36
    assert float(np.abs(motion.root_position[:, [0, 2]]).max()) < 0.5


def test_without_variety_seeds_start_alike_and_with_it_they_part(go, puppet):
    joints = puppet.joints.double().numpy()[:24]

    def apart(variety: float) -> float:
        settings = replace(TINY, steps=0, prior_starts=0, variety=variety)
        a, b = (go(seed=seed, settings=settings) for seed in (0, 1))
        places = [positions_from_world(world_rotations(m.rotations), m.root_position, joints) for m in (a, b)]
        return float(np.abs(places[0] - places[1]).max())

    assert apart(0.0) < 1e-5
    assert apart(0.8) > 0.02


def test_several_motions_get_files_of_their_own():
    from pathlib import Path

    from motiongen.candidates import texts_of
    from motiongen.cli import _files

    assert texts_of("punching; waving") == ["punching", "waving"]
    with pytest.raises(InputError, match="motion text"):
        texts_of("punching;; waving")
    files = _files(Path("a/moves.bvh"), ["punching", "kicking soccer", "punching"])
    names = ["moves_punching.bvh", "moves_kicking-soccer.bvh", "moves_punching-2.bvh"]
    assert files == [Path("a") / name for name in names]
    assert _files(Path("x.npz"), ["punching"]) == [Path("x.npz")]


def test_a_sentence_around_the_action_changes_nothing(go):
    assert np.array_equal(go("punching").rotations, go("a rendered 3d man is punching").rotations)


def test_a_checkpoint_spares_the_search_and_one_of_another_text_is_ignored(go, guidance, tmp_path):
    kept = tmp_path / "motion.safetensors"
    first = go(checkpoint=kept)
    looks = guidance.looks
    assert np.array_equal(go(checkpoint=kept).rotations, first.rotations)
    assert guidance.looks == looks
    go("squatting", checkpoint=kept)
    assert guidance.looks > looks


def test_length_and_frame_rate_are_as_asked(go):
    motion = go(settings=replace(TINY, seconds=1.5, fps=24.0))
    assert len(motion.rotations) == 36
    assert motion.fps == 24.0
    longer = go(settings=replace(TINY, seconds=3.0))
    assert len(longer.rotations) == 90
    step = np.linalg.norm(np.diff(longer.root_position, axis=0), axis=1)
    assert float(step.max()) < 0.15


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seconds", 0.1),
        ("seconds", 99.0),
        ("fps", 0.0),
        ("top_k", 0),
        ("candidates", "magic"),
        ("sequence", "x"),
        ("losses", "x"),
        ("intensity", 0.0),
        ("starts", 0),
        ("prior_starts", 9),
    ],
)
def test_settings_out_of_range_are_named(go, key, value):
    with pytest.raises(ConfigError, match=f"motion.{key}"):
        go(settings=replace(TINY, **{key: value}))


def test_an_empty_text_is_refused_before_anything_is_loaded(body, guidance):
    with pytest.raises(InputError, match="empty"):
        generate_motion(" ", body, guidance, replace(TINY, weights="/nowhere"))


def test_resampling_a_steady_turn_keeps_it_steady():
    angle = np.linspace(0, 2.0, 31)
    c, s, o, i = np.cos(angle), np.sin(angle), 0 * angle, 1 + 0 * angle
    turn = np.stack((c, o, s, o, i, o, -s, o, c), axis=-1).reshape(31, 1, 3, 3)
    motion = Motion(
        rotations=turn.repeat(24, 1), root_position=np.stack((angle, i, o), axis=1), rest_root_height=1.0,
        joint_names=SMPL_JOINTS, fps=30.0,
    )  # fmt: skip
    slow = resample(motion, 60.0)
    yaw = np.arctan2(slow.rotations[:, 0, 0, 2], slow.rotations[:, 0, 2, 2])
    np.testing.assert_allclose(yaw[:60], np.arange(60) * 2.0 / 60, atol=1e-3)
    np.testing.assert_allclose(slow.root_position[:60, 0], np.arange(60) * 2.0 / 60, atol=1e-9)


def shipped_motion(words: str, puppet) -> Motion:
    book = load_motion_codebook()
    clip = int(word_scores(words, book).argmax())
    row = int((book.clip == clip).nonzero()[0])
    settings = MotionSettings()
    return finish_motion(book.latents[row], load_motion_vae(), puppet, settings, words)


def test_a_mirrored_motion_is_the_mirror_image(puppet):
    book = load_motion_codebook()
    row = int((book.clip == int(word_scores("punch with the right fist", book).argmax())).nonzero()[0])
    joints = puppet.joints.double().numpy()
    plain, image = (
        finish_motion(
            book.latents[row], load_motion_vae(), puppet, MotionSettings(), "x", manner=Manner(mirrored=mirrored)
        )
        for mirrored in (False, True)
    )
    told, found = (
        positions_from_world(world_rotations(m.rotations.astype(float)), m.root_position.astype(float), joints)
        for m in (mirror(plain), image)
    )
    assert float(np.abs(told - found).max()) < 0.03  # the body's own left and right differ by millimetres


def test_a_shipped_punch_still_punches_after_the_vae(puppet):
    motion = shipped_motion("punch with the right fist", puppet)
    world = world_rotations(motion.rotations.astype(float))
    places = positions_from_world(world, motion.root_position.astype(float), puppet.joints.double().numpy())
    reach = places[:, 21] - places[:, 17]
    length = np.linalg.norm(reach, axis=1)
    assert length.max() - length.min() > 0.25
    assert np.linalg.norm(np.diff(reach, axis=0), axis=1).max() * motion.fps > 1.5


def test_shipped_motions_do_not_skate_or_sink(puppet):
    joints = puppet.joints.double().numpy()
    for words, most in (("punch with the right fist", 0.05), ("squat", 0.05), ("walk forward", 0.15)):
        motion = shipped_motion(words, puppet)
        assert foot_skate_ratio(motion, joints) < most, words
        assert floor_penetration(motion, joints) < 0.01, words


def test_standing_puts_a_floating_motion_down(puppet):
    joints = puppet.joints.double().numpy()
    motion = shipped_motion("walk forward", puppet)
    lifted = replace(motion, root_position=motion.root_position + np.array([0.0, 0.08, 0.0]), contacts=None)
    from motiongen.physics import lowest_point

    assert abs(float(np.median(lowest_point(stand(lifted, joints), joints)))) < 0.02


@pytest.mark.parametrize(
    "given", [["", "--out", "x.bvh"], ["punching", "--out", "x.txt"], ["punching", "--set", "motion.nope=1"]]
)
def test_a_users_mistake_is_one_message_and_code_two(given, capsys):
    assert main(given) == 2
    told = capsys.readouterr()
    assert told.err.startswith("motiongen: ")
    assert "Traceback" not in told.err


def test_every_flag_reaches_the_motion(go, monkeypatch, tmp_path):
    made, seen = go(settings=replace(TINY, steps=0)), []

    def generate(text, body, guidance, settings, seed, reporter, models):
        seen.append((text, settings, seed))
        return made

    monkeypatch.setattr("motiongen.generate.generate_motion", generate)
    monkeypatch.setattr("avatargen.guidance.load.load_guidance", lambda *_, **__: None)
    flags = ["--seconds", "3", "--fps", "24", "--loop", "--in-place", "--intensity", "1.5", "--seed", "5", "--quiet"]
    assert main(["walking", "waving", *flags, "--out", str(tmp_path / "moves.npz")]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["moves_walking.npz", "moves_waving.npz"]
    assert [(text, seed) for text, _, seed in seen] == [("walking", 5), ("waving", 5)]
    told = seen[0][1]
    assert (told.seconds, told.fps, told.loop, told.in_place, told.intensity) == (3.0, 24.0, True, True, 1.5)


def test_the_command_starts_without_torch():
    code = "import sys, motiongen.cli; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_the_training_commands_make_what_generation_loads(set_path, tmp_path, body, guidance, monkeypatch):
    monkeypatch.setattr("motiongen.train_motion._LINEAR", 320)
    for what in ("pose", "motion", "codebook"):
        written = run_stage(what, set_path, tmp_path, 2, 0, tmp_path if what == "pose" else None, Silent())
        assert all(path.is_file() for path in written)
    assert (tmp_path / "pose_prior.png").read_bytes()[:4] == b"\x89PNG"
    motion = generate_motion("punch", body, guidance, replace(TINY, steps=1, weights=str(tmp_path)))
    assert bool(torch.isfinite(torch.from_numpy(motion.rotations)).all())
