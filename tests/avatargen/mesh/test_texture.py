from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.mesh.magnify import Focus
from avatargen.mesh.texture import bake, fill_texture, rasterize_uvs, surface_points, unfold
from avatargen.render.fragments import sample_texture

SETTINGS = MeshSettings(texture_size=256, padding=2)


def ball(subdivisions=3, radius=0.3):
    made = trimesh.creation.icosphere(subdivisions, radius=radius)
    return Mesh(vertices=np.asarray(made.vertices, dtype=np.float32), faces=np.asarray(made.faces, dtype=np.int64))


def rainbow(points):
    return 0.5 + points / 0.3 * 0.45


def random_places(mesh, count=4000):
    """Points on faces, and their UVs."""
    rng = np.random.default_rng(0)
    face = rng.integers(len(mesh.faces), size=count)
    bary = rng.dirichlet([1, 1, 1], size=count)
    points = (mesh.vertices[mesh.faces[face]] * bary[..., None]).sum(1)
    return points, (mesh.uvs[mesh.uv_faces[face]] * bary[..., None]).sum(1)


@pytest.fixture(scope="module")
def baked():
    return bake(ball(), rainbow, SETTINGS)


def test_reading_the_texture_anywhere_on_the_mesh_gives_the_color_of_that_place(baked):
    points, uvs = random_places(baked)
    texture = torch.from_numpy(baked.texture).float() / 255
    seen = sample_texture(texture, torch.from_numpy(uvs.astype(np.float32))[None, :, None])[0, :, 0].numpy()
    wrong = np.abs(seen - rainbow(points)).max(1)
    assert wrong.max() < 0.05
    assert wrong.mean() < 0.01


def test_the_mesh_itself_is_unchanged_and_charts_stay_inside_the_texture(baked):
    np.testing.assert_array_equal(baked.vertices, ball().vertices)
    np.testing.assert_array_equal(baked.faces, ball().faces)
    assert baked.texture.shape == (256, 256, 3)
    assert baked.uvs.min() >= 0.0
    assert baked.uvs.max() <= 1.0


def test_no_two_faces_claim_the_same_texel_but_for_shared_edges(baked):
    texels = rasterize_uvs(baked, 256)
    inner = texels.bary.min(1) > 1e-4
    place = texels.row[inner] * 256 + texels.column[inner]
    assert len(np.unique(place)) == len(place)


def test_texels_equal_a_test_of_every_pixel_against_every_face():
    uvs = np.array([[0.1, 0.1], [0.9, 0.2], [0.3, 0.8], [0.95, 0.9]])
    flat = Mesh(
        vertices=np.concatenate([uvs, np.zeros((4, 1))], axis=1), faces=np.array([[0, 1, 2], [1, 3, 2]]), uvs=uvs,
        uv_faces=np.array([[0, 1, 2], [1, 3, 2]]),
    )  # fmt: skip
    texels = rasterize_uvs(flat, 40)
    found = np.zeros((40, 40), dtype=int)
    found[texels.row, texels.column] += 1
    for row in range(40):
        for column in range(40):
            u, v = (column + 0.5) / 40, 1 - (row + 0.5) / 40
            inside = False
            for a, b, c in uvs[flat.uv_faces]:
                m = np.linalg.solve(np.stack([b - a, c - a], axis=1), np.array([u, v]) - a)
                inside |= m.min() >= 0 and m.sum() <= 1
            assert bool(found[row, column]) == inside
    # On a flat mesh whose vertices are its UVs, the surface point of a texel is its own UV.
    points = surface_points(flat, texels, None)
    np.testing.assert_allclose(points[:, 0], (texels.column + 0.5) / 40, atol=1e-9)
    np.testing.assert_allclose(points[:, 1], 1 - (texels.row + 0.5) / 40, atol=1e-9)


def test_texels_are_moved_onto_the_true_surface_before_they_are_painted():
    coarse = ball(2)
    radii = []

    def remember(points):
        radii.append(points.norm(dim=-1).numpy())
        return rainbow(points).clamp(0, 1)

    bake(coarse, remember, SETTINGS, sdf=lambda points: points.norm(dim=-1) - 0.3)
    assert np.abs(radii[0] - 0.3).max() < 3e-4
    bake(coarse, remember, SETTINGS)
    assert np.abs(radii[1] - 0.3).max() > 3e-3


def test_gaps_between_charts_take_the_nearest_color(baked):
    texels = rasterize_uvs(baked, 256)
    image = fill_texture(texels, np.ones((len(texels.row), 3)), 256)
    assert image.min() == 255


def test_a_focus_gets_more_texels():
    focus = (Focus(center=(0.0, 0.3, 0.0), radius=0.12, gain=2.0),)

    def share(mesh):
        texels = rasterize_uvs(mesh, 256)
        return (mesh.vertices[mesh.faces].mean(1)[texels.face, 1] > 0.25).mean()

    plain, focused = unfold(ball(), SETTINGS), unfold(ball(), SETTINGS, focus)
    assert share(focused) > 1.7 * share(plain)


def test_a_mesh_without_uvs_is_refused():
    with pytest.raises(ValueError, match="unfold"):
        rasterize_uvs(replace(ball(), uvs=None, uv_faces=None), 64)
