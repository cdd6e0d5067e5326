"""OBJ files read back by trimesh."""

import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from avatargen.core.values import Mesh
from avatargen.export.obj import encode_obj


@pytest.fixture
def loaded(tube, tmp_path):
    for name, data in encode_obj(tube, "tube").items():
        (tmp_path / name).write_bytes(data)
    return trimesh.load(tmp_path / "tube.obj", process=False)  # maintain_order would merge the UVs of a seam


def test_trimesh_finds_every_corner_and_its_uv_where_it_was(loaded, tube):
    np.testing.assert_allclose(loaded.vertices[loaded.faces], tube.vertices[tube.faces], atol=1e-6)
    np.testing.assert_allclose(loaded.visual.uv[loaded.faces], tube.uvs[tube.uv_faces], atol=1e-6)


def test_trimesh_finds_the_texture_and_its_colors_on_the_right_side(loaded, tube):
    assert np.asarray(loaded.visual.material.image.convert("RGB")).tolist() == tube.texture.tolist()
    colors = loaded.visual.to_color().vertex_colors
    upper = (loaded.vertices[:, 1] > 0.7) & (loaded.visual.uv[:, 0] > 0.2)
    np.testing.assert_array_equal(colors[upper][:, :3], np.tile([200, 40, 30], (upper.sum(), 1)))


def test_companions_come_before_the_obj_that_names_them(tube):
    files = encode_obj(tube, "tube")
    assert list(files) == ["tube.png", "tube.mtl", "tube.obj"]
    assert b"mtllib tube.mtl\n" in files["tube.obj"]
    assert b"map_Kd tube.png\n" in files["tube.mtl"]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(files["tube.png"]))), tube.texture)


def test_seams_double_no_vertex(tube):
    text = encode_obj(tube)["avatar.obj"].decode().splitlines()
    assert sum(line.startswith("v ") for line in text) == len(tube.vertices)
    assert sum(line.startswith("vt ") for line in text) == len(tube.uvs)


def test_vertex_colors_survive_where_there_is_no_texture(tube):
    colors = np.random.default_rng(1).random((len(tube.vertices), 3))
    mesh = Mesh(vertices=tube.vertices, faces=tube.faces, vertex_colors=colors)
    files = encode_obj(mesh)
    assert list(files) == ["avatar.obj"]
    back = trimesh.load(io.BytesIO(files["avatar.obj"]), file_type="obj", process=False, maintain_order=True)
    np.testing.assert_allclose(back.vertices, tube.vertices, atol=1e-6)
    np.testing.assert_allclose(back.visual.vertex_colors[:, :3] / 255, colors, atol=0.005)


def test_a_plain_body_is_watertight_on_the_other_side(tube):
    files = encode_obj(Mesh(vertices=tube.vertices, faces=tube.faces), "body")
    back = trimesh.load(io.BytesIO(files["body.obj"]), file_type="obj", process=False)
    assert back.is_watertight
    assert back.volume == pytest.approx(0.5 * 12 * np.sin(2 * np.pi / 12) * 0.01 * 1.2, rel=1e-5)


def test_the_same_mesh_gives_the_same_bytes_even_with_negative_zeros(tube):
    twin = Mesh(vertices=np.where(tube.vertices == 0, -0.0, tube.vertices), faces=tube.faces)
    assert encode_obj(twin) == encode_obj(Mesh(vertices=tube.vertices, faces=tube.faces))
