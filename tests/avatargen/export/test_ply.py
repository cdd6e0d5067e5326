"""PLY files read back by trimesh, and the colors that the texture lends the vertices."""

import io

import numpy as np
import pytest
import trimesh

from avatargen.core.values import Mesh
from avatargen.export.ply import encode_ply
from avatargen.export.surface import sample_texture


def load(data: bytes) -> trimesh.Trimesh:
    return trimesh.load(io.BytesIO(data), file_type="ply", process=False)


def test_trimesh_reads_the_same_vertices_faces_and_normals(tube):
    back = load(encode_ply(tube))
    np.testing.assert_array_equal(back.vertices, tube.vertices)
    np.testing.assert_array_equal(back.faces, tube.faces)
    data = back.metadata["_ply_raw"]["vertex"]["data"]
    normals = np.stack([data[name] for name in ("nx", "ny", "nz")], axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    side = (tube.vertices[:, 1] > 0.05) & (tube.vertices[:, 1] < 1.15)
    assert (normals[side] * tube.vertices[side] * [1, 0, 1] / 0.1).sum(1).min() > 0.999


def test_vertices_take_the_color_of_their_texel(tube):
    colors = load(encode_ply(tube)).visual.vertex_colors[:, :3]
    y, x = tube.vertices[:, 1], tube.vertices[:, 0]
    away = (x < 0.05) & (np.abs(x) > 0.01)  # the green columns run along +X
    np.testing.assert_array_equal(colors[away & (y > 0.7)][0], [200, 40, 30])
    assert np.unique(colors[away & (y > 0.7) & (y < 1.1)], axis=0).tolist() == [[200, 40, 30]]
    assert np.unique(colors[away & (y < 0.5) & (y > 0.1)], axis=0).tolist() == [[30, 60, 210]]


def test_own_vertex_colors_win_and_a_plain_mesh_has_none(tube):
    colors = np.random.default_rng(2).random((len(tube.vertices), 3))
    back = load(encode_ply(Mesh(vertices=tube.vertices, faces=tube.faces, vertex_colors=colors)))
    np.testing.assert_array_equal(back.visual.vertex_colors[:, :3], np.round(colors * 255))
    assert load(encode_ply(Mesh(vertices=tube.vertices, faces=tube.faces))).visual.kind is None


def test_bilinear_sampling_is_exact_on_a_linear_ramp():
    ramp = np.zeros((8, 10, 3), dtype=np.uint8)
    ramp[..., 0] = 20 * np.arange(10)
    ramp[..., 1] = 10 * np.arange(8)[:, None]
    uv = np.random.default_rng(0).uniform(0.1, 0.9, (50, 2))
    got = sample_texture(ramp, uv) * 255
    np.testing.assert_allclose(got[:, 0], 20 * (uv[:, 0] * 10 - 0.5), atol=1e-9)
    np.testing.assert_allclose(got[:, 1], 10 * ((1 - uv[:, 1]) * 8 - 0.5), atol=1e-9)
    assert got[:, 2].max() == pytest.approx(0)
