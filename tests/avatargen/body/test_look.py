"""The plain human look: colors where a face has them."""

import itertools

import pytest
import torch

from avatargen.body.look import LOOKS, base_color_at, base_colors
from avatargen.body.open_body import load_open_body, mirror_map
from avatargen.core.parts import PART_ID


@pytest.fixture(scope="module")
def body():
    return load_open_body()


def part_color(body, name, skin="light"):
    """Mean color over the part's faces, at their centres."""
    faces = torch.nonzero(body.parts == PART_ID[name])[:, 0]
    return base_color_at(body, faces, torch.full((len(faces), 3), 1 / 3), skin).mean(0)


def test_colors_are_colors_for_every_complexion(body):
    for skin in LOOKS:
        colors = base_colors(body, skin)
        assert colors.shape == body.template.shape
        assert (colors >= 0).all()
        assert (colors <= 1).all()


def test_lips_are_redder_and_brows_darker_than_the_face(body):
    for skin in LOOKS:
        face, lips, brow = (part_color(body, n, skin) for n in ("face", "lips", "left_brow"))
        assert lips[0] / lips[1] > 1.05 * face[0] / face[1]
        assert brow.mean() < 0.85 * face.mean()
        scalp = part_color(body, "scalp", skin)
        assert (scalp - torch.tensor(LOOKS[skin].skin)).abs().max() < 0.05  # bald


def test_complexions_go_from_pale_to_dark(body):
    shades = [part_color(body, "upper_torso", skin).mean() for skin in ("pale", "light", "medium", "brown", "dark")]
    assert all(a > b for a, b in itertools.pairwise(shades))


def test_eyes_have_a_dark_pupil_in_front_an_iris_around_and_white_beside(body):
    for name, sign in (("left_eye", 1), ("right_eye", -1)):
        faces = torch.nonzero(body.parts == PART_ID[name])[:, 0]
        draw = torch.Generator().manual_seed(0)
        chosen = faces[torch.randint(len(faces), (6000,), generator=draw)]
        bary = torch.distributions.Dirichlet(torch.ones(3)).sample((6000,))
        color = base_color_at(body, chosen, bary)
        points = (body.template[body.faces[chosen]] * bary[..., None]).sum(1)
        center = body.template[body.faces[faces].unique()]
        center = (center.amax(0) + center.amin(0)) / 2
        forward = torch.nn.functional.normalize(points - center, dim=1)[:, 2]
        dark = color.mean(1) < 0.1
        assert dark.any()
        assert (forward[dark] > 0.97).all()
        blue = (color[:, 2] > color[:, 0] + 0.1) & ~dark
        assert blue.any()
        assert (forward[blue] > 0.88).all()
        white = (color.amin(1) > 0.8) & (forward > 0.6)
        assert white.any()
        assert (points[:, 0] * sign > 0).all()


def test_the_look_is_symmetric_but_for_the_skins_own_unevenness(body):
    colors = base_colors(body)
    assert (colors[torch.from_numpy(mirror_map())] - colors).abs().max() < 0.08


def test_vertices_and_surface_points_agree_away_from_the_eyes(body):
    colors = base_colors(body)
    faces = torch.arange(0, len(body.faces), 37)
    faces = faces[(body.parts[faces] != PART_ID["left_eye"]) & (body.parts[faces] != PART_ID["right_eye"])]
    corner = torch.tensor([[1.0, 0.0, 0.0]]).expand(len(faces), 3)
    torch.testing.assert_close(base_color_at(body, faces, corner), colors[body.faces[faces, 0]], atol=1e-5, rtol=0)


def test_a_body_without_labels_is_plain_skin(body):
    from dataclasses import replace

    plain = base_colors(replace(body, kind="smpl", parts=None), "brown")
    assert torch.equal(plain, torch.tensor(LOOKS["brown"].skin).expand_as(body.template))
