"""Levels of detail of the open body with a painted texture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from avatargen.body.open_body import load_open_body
from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh, RiggedMesh, Skeleton
from avatargen.mesh.clean import component_count, is_closed
from avatargen.mesh.levels import levels_of_detail
from avatargen.mesh.nearest import Surface, nearest_facing
from avatargen.mesh.texture import fill_texture, rasterize_uvs
from avatargen.render.fragments import sample_texture

BODY = load_open_body()
SETTINGS = MeshSettings(lods=2, texture_size=512)


def paint(points):
    return np.clip(0.5 + 0.45 * np.sin(4 * points), 0, 1)


@pytest.fixture(scope="module")
def avatar():
    points = BODY.template.numpy()
    mesh = Mesh(vertices=points, faces=BODY.faces.numpy(), uvs=BODY.uvs.numpy(), uv_faces=BODY.uv_faces.numpy())
    texels = rasterize_uvs(mesh, 512)
    colors = paint((points[mesh.faces[texels.face]] * texels.bary[..., None]).sum(1))
    joints = (BODY.joint_regressor @ BODY.template).numpy()
    skeleton = Skeleton(names=BODY.joint_names, parents=BODY.parents, joints=joints)
    mesh = replace(mesh, texture=fill_texture(texels, colors, 512))
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=BODY.weights.numpy())


@pytest.fixture(scope="module")
def levels(avatar):
    return levels_of_detail(avatar, SETTINGS)


def test_each_level_has_half_the_triangles_and_stays_closed(avatar, levels):
    assert len(levels) == 2
    for number, level in enumerate(levels, start=1):
        goal = len(avatar.mesh.faces) / 2**number
        assert 0.7 * goal < len(level.mesh.faces) < 1.1 * goal
        assert is_closed(level.mesh)
        assert component_count(level.mesh) == 3  # the body and both eyes
        assert level.mesh.texture.shape == (512 >> number, 512 >> number, 3)


def test_the_silhouette_and_the_hands_are_kept(avatar, levels):
    full, quarter = avatar.mesh, levels[1].mesh
    there = nearest_facing(
        full.vertices,
        np.zeros_like(full.vertices),
        Surface(vertices=quarter.vertices, normals=np.zeros_like(quarter.vertices), faces=quarter.faces),
        candidates=24,
    ).distance
    assert there.mean() < 0.0012
    # no finger is lost: the farthest points of the whole body are still there
    np.testing.assert_allclose(np.ptp(quarter.vertices, axis=0), np.ptp(full.vertices, axis=0), atol=0.005)
    hand = np.abs(full.vertices[:, 0]) > np.abs(avatar.skeleton.joints[22, 0])
    assert np.quantile(there[hand], 0.99) < 0.004


def test_colors_and_weights_are_those_of_the_place(avatar, levels):
    for level in levels:
        rng = np.random.default_rng(0)
        face, bary = rng.integers(len(level.mesh.faces), size=3000), rng.dirichlet([1, 1, 1], size=3000)
        places = (level.mesh.vertices[level.mesh.faces[face]] * bary[..., None]).sum(1)
        uvs = (level.mesh.uvs[level.mesh.uv_faces[face]] * bary[..., None]).sum(1).astype(np.float32)
        seen = sample_texture(torch.from_numpy(level.mesh.texture).float() / 255, torch.from_numpy(uvs)).numpy()
        assert np.median(np.abs(seen - paint(places)).max(1)) < 0.02
        assert np.quantile(np.abs(seen - paint(places)).max(1), 0.95) < 0.1
        assert ((level.weights > 0).sum(1) <= 4).all()
        np.testing.assert_allclose(level.weights.sum(1), 1, atol=1e-6)
        gap, nearest = KDTree(avatar.mesh.vertices).query(level.mesh.vertices)
        off = np.abs(level.weights - avatar.weights[nearest]).max(1)
        assert off[gap < 1e-4].max(initial=0) < 0.05
        assert off.mean() < 0.02
