"""A ball that was sprayed with two paints, whose smears are known: what is cut must be cut where they meet."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from avatargen.core.parts import PART_ID
from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.implicit.crisp import Canvas, crisp_colors, find_regions, neighbor_mean, smoothed
from avatargen.mesh.texture import bake

SKIN, RED, BLUE = torch.tensor([0.9, 0.75, 0.62]), torch.tensor([0.85, 0.1, 0.1]), torch.tensor([0.15, 0.2, 0.8])
SMEAR = 0.03


def sprayed(points):
    """Red above y = 0.1, blue below y = -0.1, skin between; borders as wide as the field's."""

    def share(height):
        return torch.sigmoid(height / (SMEAR / 4))[:, None]

    up, down = share(points[:, 1] - 0.1), share(-0.1 - points[:, 1])
    return up * RED + down * BLUE + (1 - up - down) * SKIN


def make_canvas(color=sprayed, parts=None):
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.3)
    vertices = torch.tensor(ball.vertices, dtype=torch.float32)
    mesh = Mesh(vertices=ball.vertices.astype(np.float32), faces=ball.faces.astype(np.int64))
    mesh = bake(mesh, color, MeshSettings(texture_size=512))
    return Canvas(
        vertices=vertices,
        faces=torch.tensor(mesh.faces),
        uvs=torch.tensor(mesh.uvs),
        uv_faces=torch.tensor(mesh.uv_faces),
        texture=torch.tensor(mesh.texture).float() / 255,
        look=SKIN.expand(len(vertices), 3),
        parts=parts,
    )


@pytest.fixture(scope="module")
def canvas():
    return make_canvas()


def places(canvas, count=20000):
    draws = torch.Generator().manual_seed(0)
    face = torch.randint(len(canvas.faces), (count,), generator=draws)
    bary = torch.rand(count, 3, generator=draws) + 0.05
    bary = bary / bary.sum(1, keepdim=True)
    return face, bary, canvas.spread(canvas.vertices, face, bary)


def test_the_paints_are_found_by_how_much_they_cover_and_smears_are_no_paints(canvas):
    paints = find_regions(canvas).paints
    assert len(paints) == 2
    nearest = torch.cdist(torch.stack([RED, BLUE]), paints).amin(1)
    assert float(nearest.max()) < 0.03


def test_cut_borders_are_narrow_and_where_the_smears_were(canvas):
    regions = find_regions(canvas)
    face, bary, points = places(canvas)
    plain = torch.stack([RED, SKIN, BLUE])
    before, after = canvas.texture_at(face, bary), crisp_colors(canvas, regions, face, bary, 1.0)

    def mixed(colors):
        return (torch.cdist(colors, plain).amin(1) > 0.1).float().mean()

    assert mixed(after) < 0.35 * mixed(before)
    height = points[:, 1]
    far = torch.minimum((height - 0.1).abs(), (height + 0.1).abs()) > 0.012
    wanted = torch.where(height[:, None] > 0.1, RED, torch.where(height[:, None] < -0.1, BLUE, SKIN))
    assert float((after - wanted)[far].norm(dim=-1).max()) < 0.12
    assert torch.equal(crisp_colors(canvas, regions, face, bary, 0.0), before)


def test_what_no_smear_explains_stays_as_it_is():
    """Green dots, smaller than any region, on the red cap: a pattern, not a mistake."""
    dot = torch.tensor([0.1, 0.8, 0.2])

    def dotted(points):
        inside = ((points[:, 0] % 0.06 - 0.03).abs() < 0.008) & ((points[:, 2] % 0.06 - 0.03).abs() < 0.008)
        return torch.where((inside & (points[:, 1] > 0.15))[:, None], dot, sprayed(points))

    canvas = make_canvas(dotted)
    face, bary, _ = places(canvas)
    before, after = canvas.texture_at(face, bary), crisp_colors(canvas, find_regions(canvas), face, bary, 1.0)
    dots = (before - dot).norm(dim=-1) < 0.02
    assert int(dots.sum()) > 50
    assert float((after - before)[dots].abs().max()) < 0.02


def test_lips_keep_every_texel():
    parts = torch.full((2562,), PART_ID["lips"])
    canvas = make_canvas(parts=parts)
    face, bary, _ = places(canvas)
    torch.testing.assert_close(
        crisp_colors(canvas, find_regions(canvas), face, bary, 1.0), canvas.texture_at(face, bary), rtol=0, atol=1e-6
    )


def test_a_body_without_paint_is_left_alone():
    canvas = make_canvas(lambda points: SKIN.expand(len(points), 3))
    regions = find_regions(canvas)
    face, bary, _ = places(canvas, 500)
    assert len(regions.paints) == 0
    assert torch.equal(crisp_colors(canvas, regions, face, bary, 1.0), canvas.texture_at(face, bary))


def test_a_changed_paint_changes_what_wears_it_and_nothing_else(canvas):
    regions = find_regions(canvas)
    face, bary, points = places(canvas)
    red = int((regions.paints - RED).norm(dim=-1).argmin())
    paints = regions.paints.clone().requires_grad_()
    shown = crisp_colors(canvas, regions, face, bary, 1.0, paints)
    torch.testing.assert_close(shown, crisp_colors(canvas, regions, face, bary, 1.0))
    (slope,) = torch.autograd.grad(shown[points[:, 1] > 0.13].mean(0).sum(), paints)
    assert slope[red].allclose(torch.ones(3), atol=0.05)
    assert float(slope[1 - red].abs().max()) < 1e-3


def test_the_mean_of_the_neighbours_is_that_of_a_plain_count(canvas):
    values = torch.rand(len(canvas.vertices), 2, generator=torch.Generator().manual_seed(1))
    found = neighbor_mean(values, canvas.faces)
    for vertex in (0, 17, 2000):
        around = canvas.faces[(canvas.faces == vertex).any(1)].unique()
        torch.testing.assert_close(found[vertex], values[around[around != vertex]].mean(0))
    one = torch.ones(len(canvas.vertices), 1)
    torch.testing.assert_close(smoothed(one, canvas.faces, 3), one)


def mottled(points):
    """The red of above in blotches of a third, lighter and darker, as a field in changing light learns it."""
    noise = 0.05 * torch.sin(points * 60.0).prod(1, keepdim=True) + 0.04 * torch.sin(points[:, :1] * 300.0)
    lighter = 0.12 * (points[:, 0] > 0.1)[:, None]
    return (sprayed(points) + noise + lighter * (1.0 - sprayed(points))).clamp(0, 1)


def test_a_named_color_is_one_color_and_what_has_no_name_keeps_its_texture():
    canvas, named = make_canvas(mottled), torch.tensor([[0.82, 0.12, 0.1]])
    face, bary, points = places(canvas)
    regions = find_regions(canvas, named)
    after = crisp_colors(canvas, regions, face, bary, 1.0)
    cap = points[:, 1] > 0.13
    assert float((canvas.texture_at(face, bary) - named)[cap].norm(dim=-1).quantile(0.9)) > 0.15
    assert float((after - named)[cap].norm(dim=-1).quantile(0.9)) < 0.02
    assert float((after - named)[cap].norm(dim=-1).max()) < 0.10
    without = crisp_colors(canvas, find_regions(canvas), face, bary, 1.0)
    torch.testing.assert_close(after[points[:, 1] < -0.13], without[points[:, 1] < -0.13], rtol=0, atol=0.02)
    assert float(after[points[:, 1] < -0.13].std(0).max()) > 0.02


def test_two_names_stay_two_colors():
    """Red above and a nearby orange below: each paint goes to the nearer name."""
    orange, names = torch.tensor([0.9, 0.35, 0.1]), torch.tensor([[0.85, 0.08, 0.08], [0.94, 0.42, 0.06]])
    canvas = make_canvas(lambda points: torch.where((points[:, 1] > 0)[:, None], RED, orange))
    face, bary, points = places(canvas)
    after = crisp_colors(canvas, find_regions(canvas, names), face, bary, 1.0)
    for name, there in zip(names, (points[:, 1] > 0.03, points[:, 1] < -0.03), strict=True):
        torch.testing.assert_close(after[there], name.expand(int(there.sum()), 3), rtol=0, atol=0.03)


def test_tuning_leaves_named_colors_alone():
    canvas = make_canvas()
    regions = find_regions(canvas, RED[None])
    face, bary, _ = places(canvas)
    tuned = crisp_colors(canvas, regions, face, bary, 1.0, regions.paints - 0.1)
    plain = crisp_colors(canvas, regions, face, bary, 1.0)
    red = (plain - RED).norm(dim=-1) < 0.05
    torch.testing.assert_close(tuned[red], plain[red], rtol=0, atol=0.01)
    assert float((tuned - plain)[(plain - BLUE).norm(dim=-1) < 0.05].abs().min()) > 0.05


def test_faces_and_hair_keep_what_is_drawn_on_them():
    named = torch.tensor([[0.82, 0.12, 0.1]])
    for mine in (make_canvas(mottled, torch.full((2562,), PART_ID["face"])), make_canvas(mottled)):
        canvas = mine if mine.parts is not None else replace(mine, hair=torch.ones(2562, dtype=torch.bool))
        face, bary, points = places(canvas)
        after = crisp_colors(canvas, find_regions(canvas, named), face, bary, 1.0)
        assert float(after[points[:, 1] > 0.13].std(0).max()) > 0.02
