"""The generator of training pictures for the embedded guidance."""

import numpy as np
import pytest
import torch

from avatargen.body.open_body import load_open_body, mirror_map
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import InputError
from avatargen.core.rng import numpy_stream, stream
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.guidance.embedded.slots import BACKGROUND, SLOT_ID, SLOTS, TRAITS
from avatargen.training import gbuffers, plan
from avatargen.training.gbuffers import canonical_joints, render_buffers
from avatargen.training.motions import MotionSet, central_frames, even_frames, read_motions
from avatargen.training.paint import Canvas, Painter, zoom_index
from avatargen.training.pictures import Source
from avatargen.training.pose_words import fit_of, gerund, phrases_with_synonyms
from avatargen.training.slot_labels import face_slots
from avatargen.training.traits import raw_traits


class TestSlots:
    def test_every_slot_has_faces(self):
        assert set(np.unique(face_slots(load_open_body()))) == set(range(len(SLOTS)))

    def test_slots_are_symmetric(self):
        body = load_open_body()
        slots, faces, mirror = face_slots(body), body.faces.numpy(), mirror_map()
        there = {tuple(sorted(f)): s for f, s in zip(faces.tolist(), slots.tolist(), strict=True)}
        other = [there.get(tuple(sorted(mirror[f].tolist()))) for f in faces]
        same = [s == o for s, o in zip(slots.tolist(), other, strict=True) if o is not None]
        assert len(same) > 0.5 * len(faces)
        assert np.mean(same) > 0.99

    def test_the_back_is_behind_and_the_feet_are_below(self):
        body = load_open_body()
        slots, center = face_slots(body), body.template[body.faces].mean(1).numpy()
        assert center[slots == SLOT_ID["back"], 2].mean() < center[slots == SLOT_ID["chest"], 2].mean() - 0.1
        assert center[slots == SLOT_ID["feet"], 1].max() < center[slots == SLOT_ID["shins"], 1].min()
        assert center[slots == SLOT_ID["beard"], 1].mean() < center[slots == SLOT_ID["eyes"], 1].mean()

    def test_a_body_without_parts_is_refused(self):
        from dataclasses import replace

        with pytest.raises(ValueError, match="part labels"):
            face_slots(replace(load_open_body(), parts=None))


class TestJoints:
    def test_turning_about_the_vertical_changes_nothing(self):
        pose = a_pose()[None].clone()
        pose[:, 12] = matrix_from_axis_angle(torch.tensor([[0.3, 0.2, 0.1]]))
        turned = pose.clone()
        turned[:, 0] = matrix_from_axis_angle(torch.tensor([[0.0, 2.1, 0.0]])) @ pose[:, 0]
        torch.testing.assert_close(canonical_joints(pose), canonical_joints(turned), atol=1e-5, rtol=0)

    def test_the_left_is_at_positive_x(self):
        joints = canonical_joints(a_pose()[None])[0]
        assert joints[15, 0] > 0.1 > -0.1 > joints[16, 0]  # shoulders; the pelvis is left out


class TestBuffers:
    def test_records_hold_faces_normals_and_labels(self, monkeypatch):
        # Measuring a population takes half a minute and has a test of its own.
        monkeypatch.setattr(gbuffers, "traits_of", lambda body, betas: np.zeros((len(betas), len(TRAITS)), np.float32))
        frames = np.zeros((4, 24, 3), dtype=np.float32)
        buffers = render_buffers(3, "test", 2, frames, views=3)
        assert buffers.face.shape == (6, 128, 128)
        assert buffers.face.max() <= len(load_open_body().faces)
        seen = buffers.face > 0
        assert all(s.mean() > 0.01 for s in seen)
        length = np.linalg.norm(buffers.normal.astype(np.float64), axis=-1)[seen]
        np.testing.assert_allclose(length, 127, atol=3)
        assert (buffers.normal[seen][:, 2] > -40).mean() > 0.97  # what is seen faces the camera
        again = render_buffers(3, "test", 2, frames, views=3)
        np.testing.assert_array_equal(buffers.face, again.face)

    def test_buffers_are_drawn_by_their_chances(self):
        count = 40
        buffers = gbuffers.Buffers(
            face=np.ones((count, 128, 128), dtype=np.uint16),
            normal=np.zeros((count, 128, 128, 3), dtype=np.int8),
            kind=np.zeros(count, dtype=np.uint8),
            joints=np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None], (count, 23, 3)).copy(),
            traits=np.zeros((count, len(TRAITS)), dtype=np.float32),
            standing=np.zeros(count, dtype=np.uint8),
        )
        queries = np.zeros((0, 1, 128, 128, 3), dtype=np.uint8), np.zeros((0, len(TRAITS)), dtype=np.float32)
        bodies, poses = (
            gbuffers.Buffers(**{k: v[part] for k, v in vars(buffers).items()})
            for part in np.split(np.arange(count), [10])
        )
        shares = plan._shares([bodies], [poses])
        source = Source(buffers, *queries, stream(0, "chances"), shares)
        drawn = torch.cat([source.draw(100, 0).joints[:, 0, 0] for _ in range(4)])
        assert float((drawn < 10).float().mean()) == pytest.approx(plan._BODIES_SHARE, abs=0.08)
        assert len(drawn.unique()) == count


class TestPaint:
    def test_the_same_stream_paints_the_same_picture_and_background_stays_behind(self):
        slot = torch.full((2, 128, 128), BACKGROUND)
        slot[:, 30:90, 40:80] = SLOT_ID["chest"]
        normal = torch.zeros(2, 128, 128, 3)
        normal[..., 2] = 1.0
        canvas = Canvas(slot, normal, torch.zeros(2, 128, 128, 3), torch.full((2, 128, 128, 3), 0.6))
        first, second = (Painter(stream(1, "paint")).paint(canvas) for _ in range(2))
        torch.testing.assert_close(first, second, rtol=0, atol=0)
        assert float(first.min()) >= 0
        assert float(first.max()) <= 1

    def test_zooms_stay_inside(self):
        rows, columns, inside = zoom_index(stream(0, "zoom"), 50, 128)
        assert int(rows.min()) >= 0
        assert int(columns.max()) <= 127
        assert float(inside.float().mean()) > 0.6


class TestTraits:
    def test_height_is_metres_and_girth_grows_with_weight(self):
        from avatargen.body.open_body import betas_from_phenotypes

        base = np.array([[0.5, 0.67, 0.5, 0.2, 0.5, 0.5], [0.5, 0.67, 0.5, 0.8, 0.5, 0.5]])
        raw = raw_traits(load_open_body(), betas_from_phenotypes(base).astype(np.float32))
        assert 1.4 < raw[0, TRAITS.index("height")] < 2.0
        assert raw[1, TRAITS.index("girth")] > raw[0, TRAITS.index("girth")] + 0.1


class TestWords:
    @pytest.mark.parametrize(
        ("phrase", "ing"),
        [
            ("throw a punch", "throwing a punch"),
            ("dance", "dancing"),
            ("sit down", "sitting down"),
            ("lie still", "lying still"),
            ("hop", "hopping"),
            ("crawl", "crawling"),
        ],
    )
    def test_gerunds(self, phrase: str, ing: str):
        assert gerund(phrase) == ing

    def test_synonyms_reach_the_clips_that_they_mean(self):
        assert "boxing" in phrases_with_synonyms(["punch with the right hand"])
        assert "boxing" not in phrases_with_synonyms(["wave hello"])

    def test_a_label_fits_its_own_clips_and_its_kin_a_little(self):
        texts = [phrases_with_synonyms([label]) for label in ("jump", "jump, land low", "jump and turn", "walk")]
        target = fit_of(texts).target(np.arange(4), ["jump", "jump, land low", "jump", "walk"])
        kin = target[0, 1]
        assert 0 < kin < 0.5
        has = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]])
        shared = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]])
        np.testing.assert_allclose(target, has + kin * shared)


class TestMotions:
    def test_frames_come_from_the_middle_of_each_clip(self):
        motions = MotionSet(
            axis_angle=np.arange(30, dtype=np.float32)[:, None, None] * np.ones((1, 24, 3), dtype=np.float32),
            clip_start=np.array([0, 10, 30]),
            names=("a", "b"),
            phrases=(("walk",), ("run",)),
            splits=("train", "train"),
        )
        assert central_frames(motions, 0).tolist() == [2, 3, 4, 5, 6, 7]
        frames = even_frames(motions, [0, 1], 5, numpy_stream(0, "x"))
        assert frames.shape == (10, 24, 3)
        assert ((frames[:5] >= 2) & (frames[:5] <= 7)).all()

    def test_a_file_that_is_no_motion_set_is_named(self, tmp_path):
        np.savez(tmp_path / "other.npz", x=np.zeros(1))
        with pytest.raises(InputError, match="not a motion set"):
            read_motions(tmp_path / "other.npz")
