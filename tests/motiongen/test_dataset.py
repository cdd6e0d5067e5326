"""The set's builder on a folder of good, odd and broken files."""

from dataclasses import replace

import numpy as np
import pytest

from avatargen.core.errors import BrokenFileError, InputError
from motiongen.clips import Clip
from motiongen.dataset import (
    build_dataset,
    load_dataset,
    main,
    prepare,
    read_labels,
    remove_snaps,
    split_groups,
)
from motiongen.importers.retarget import mirror
from motiongen.physics import lowest_point
from motiongen.procedural.actions import ACTIONS, procedural_clips
from tests.motiongen.skeletons import MIXAMO, turn, write


def swaying(frames=40):
    angles = np.sin(np.linspace(0, 6, frames)) * 40
    return [{"LeftArm": turn(2, -60 + a), "Spine": turn(0, a / 4)} for a in angles]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("motions")
    (base / "a").mkdir()
    good = write(MIXAMO, swaying(), [(0.3, 0.95, 1.0)] * 40, fps=60)
    (base / "a" / "left_arm.bvh").write_text(good)
    (base / "a" / "turn_1.bvh").write_text(write(MIXAMO, swaying(30), [(0, 0.95, 0)] * 30))
    (base / "a" / "turn_1_mirror.bvh").write_text(write(MIXAMO, swaying(30), [(0, 0.95, 0)] * 30))
    (base / "cut.bvh").write_text(good[:-200])
    (base / "nan.bvh").write_text(good.replace("MOTION", "MOTION").rsplit(" ", 1)[0] + " nan\n")
    (base / "names.bvh").write_text(
        write(MIXAMO, [{}], [(0, 1, 0)], names={n: f"b{i}" for i, (n, *_) in enumerate(MIXAMO)})
    )
    np.savez(base / "empty.npz", poses=np.zeros((0, 72)), trans=np.zeros((0, 3)), mocap_framerate=30.0)
    (base / "empty.bvh").write_bytes(b"")
    (base / "labels.csv").write_text(
        "clip,source,licence,frames,fps,loop,label,alternatives\n"
        'a/left_arm.bvh,ours,CC0,40,60,yes,swing the left arm,"wave left|move the right way"\n'
        "a/turn_1.bvh,ours,CC0,30,30,no,sway,bend\n"
        "a/turn_1_mirror.bvh,ours,CC0,30,30,no,sway,bend\n"
    )
    return base


@pytest.fixture(scope="module")
def built(folder):
    report = build_dataset([folder], folder / "labels.csv", folder / "out" / "set.npz")
    return report, load_dataset(folder / "out" / "set.npz")


def test_broken_files_are_named_and_skipped_and_the_others_arrive(built):
    report, made = built
    assert sorted(path.rsplit("/", 1)[-1] for path, _ in report.skipped) == [
        "cut.bvh", "empty.bvh", "empty.npz", "names.bvh", "nan.bvh",
    ]  # fmt: skip
    assert all(path in reason for path, reason in report.skipped)
    assert set(made.names) == {"a/left_arm", "a/left_arm_mirrored", "a/turn_1", "a/turn_1_mirror"}


def test_words_loops_and_mirror_images_come_along(built):
    _, made = built
    k, m = made.names.index("a/left_arm"), made.names.index("a/left_arm_mirrored")
    assert made.labels[k] == "swing the left arm"
    assert made.labels[m] == "swing the right arm"
    assert made.alternatives[m] == ("wave right", "move the left way")
    assert made.loop == tuple(name.startswith("a/left") for name in made.names)
    image = mirror(made.motion(k))
    np.testing.assert_allclose(made.motion(m).rotations, image.rotations, atol=1e-5)
    np.testing.assert_allclose(made.motion(m).root_position, image.root_position, atol=1e-6)
    assert made.split[k] == made.split[m]


def test_clips_are_resampled_stand_on_the_floor_over_the_origin_and_know_their_contacts(built):
    _, made = built
    motion = made.motion(made.names.index("a/left_arm"))
    assert motion.fps == 30.0
    assert len(motion.rotations) == 21  # 40 frames at 60 a second last 0.65 s
    assert np.abs(lowest_point(motion)).max() < 0.005
    np.testing.assert_allclose(motion.root_position[0, [0, 2]], 0.0, atol=1e-7)
    assert motion.contacts is not None
    assert motion.contacts.all()


def test_the_file_is_plain_and_the_same_every_time(folder, built):
    again = folder / "again.npz"
    build_dataset([folder], folder / "labels.csv", again)
    assert again.read_bytes() == (folder / "out" / "set.npz").read_bytes()
    with np.load(again, allow_pickle=False) as data:
        assert data["axis_angle"].dtype == np.float32
        assert data["axis_angle"].shape == (len(data["root_position"]), 24, 3)
        assert data["clip_start"].dtype == np.int64
        assert set(data["split"]) <= {"train", "val"}


def test_nothing_to_import_is_an_error_that_lists_why(folder, tmp_path):
    with pytest.raises(InputError, match=r"nothing to import:\n.*cut\.bvh:\d+: .* numbers in this frame"):
        build_dataset([folder / "cut.bvh"], None, tmp_path / "set.npz")
    with pytest.raises(InputError, match=r"no \.bvh or \.npz files"):
        build_dataset([tmp_path], None, tmp_path / "set.npz")
    assert not (tmp_path / "set.npz").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "needs a header"), ("clip\na\n", "needs a header"), ("clip,label\na,\n", r":2: 'clip' or 'label' is empty")],
)
def test_a_labels_file_without_words_is_refused(text, message, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(BrokenFileError, match=rf"labels\.csv.*{message}"):
        read_labels(tmp_path / "labels.csv")


def test_a_set_that_is_none_is_refused(tmp_path):
    np.savez(tmp_path / "set.npz", axis_angle=np.zeros((1, 24, 3)))
    with pytest.raises(BrokenFileError, match="lacks root_position"):
        load_dataset(tmp_path / "set.npz")


def test_a_split_parts_no_group_and_holds_out_about_a_tenth():
    base = procedural_clips(0, 1, [a for a in ACTIONS if a.name == "nod"])[0]
    clips = [replace(base, source="x", group=f"g{i // 3}") for i in range(90)]
    sides = split_groups(clips)
    share = sum(sides[c.group] == "val" for c in clips) / 90
    assert 0.06 <= share <= 0.14
    assert split_groups(clips) == sides
    assert set(split_groups([replace(base, source="y", group="only")]).values()) == {"train"}


def test_a_pose_that_jumps_away_for_one_frame_is_bridged_and_fast_motion_is_not():
    nod = procedural_clips(0, 1, [a for a in ACTIONS if a.name == "nod"])[0].motion
    torn = nod.rotations.copy()
    torn[20, 4] = torn[20, 4] @ turn(0, 70)
    mended = remove_snaps(replace(nod, rotations=torn))
    np.testing.assert_allclose(mended.rotations, nod.rotations, atol=1e-3)
    punch = procedural_clips(0, 1, [a for a in ACTIONS if a.name == "punch"])[0].motion
    steady = remove_snaps(punch, limit_deg=40.0)
    assert np.abs(steady.rotations - punch.rotations).max() < 0.35


def test_walks_in_place_become_walks_that_travel(tmp_path):
    march = procedural_clips(0, 1, [a for a in ACTIONS if a.name == "march"])[0]
    assert prepare(march, 30.0).motion.contacts is not None
    report = build_dataset([], None, tmp_path / "set.npz", procedural=[march], mirror=False)
    made = load_dataset(tmp_path / "set.npz")
    # A march with feet that rise and fall where they are has nowhere to go, and stays a walk in place.
    assert made.labels == ("walk in place",)
    assert report.clips == 1


def test_the_command_line_writes_the_set_and_says_what_it_skipped(folder, tmp_path, capsys):
    out = tmp_path / "set.npz"
    assert main([str(folder), "--labels", str(folder / "labels.csv"), "--out", str(out), "--takes", "0"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert "cut.bvh" in captured.err
    assert "4 clips" in captured.err
    assert main([str(tmp_path / "nowhere.bvh"), "--out", str(out), "--takes", "0"]) == 2
    assert "nowhere.bvh" in capsys.readouterr().err


def test_a_clip_needs_words():
    with pytest.raises(TypeError):
        Clip(motion=procedural_clips(0, 1, ACTIONS[:1])[0].motion)
