"""Measures against shapes whose answers are known."""

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import ConvexHull

from avatargen.body.measure import MEASURES, _girth, _volume, measure, measure_many
from avatargen.body.open_body import betas_from_phenotypes, load_open_body, phenotype_names, phenotypes_from_betas
from avatargen.body.posing import shape_body


@pytest.fixture(scope="module")
def body():
    return load_open_body()


def test_a_cylinders_girth_and_volume():
    mesh = trimesh.creation.cylinder(radius=0.2, height=1.0, sections=256)
    assert _girth(mesh.vertices, mesh.faces, 2, 0.1) == pytest.approx(0.4 * np.pi, rel=1e-3)
    assert _volume(mesh.vertices, mesh.faces) == pytest.approx(mesh.volume, rel=1e-9)
    assert _girth(mesh.vertices, mesh.faces, 2, 3.0) == 0.0


def test_a_tape_spans_hollows():
    mesh = trimesh.util.concatenate(
        [trimesh.creation.box((0.1, 1, 0.1)), trimesh.creation.box((0.1, 1, 0.1)).apply_translation((0.5, 0, 0))]
    )
    assert _girth(mesh.vertices, mesh.faces, 1, 0.0) == pytest.approx(2 * (0.6 + 0.1))


def test_the_mean_body_has_human_measures(body):
    found = measure(body, torch.zeros(16))
    assert tuple(found) == MEASURES
    assert 1.62 < found["height"] < 1.78
    assert 0.9 < found["chest_girth"] < 1.15
    assert found["waist_girth"] < found["chest_girth"]
    assert found["waist_girth"] < found["hip_girth"]
    assert 0.27 < found["neck_girth"] < 0.42
    assert 0.75 < found["leg_length"] < 0.95
    assert 0.05 < found["volume"] < 0.08


def test_girths_agree_with_trimeshs_sections(body):
    vertices, joints = shape_body(body, torch.zeros(1, 16))
    found = measure(body, torch.zeros(16))
    mesh = trimesh.Trimesh(vertices[0].numpy(), body.faces.numpy(), process=False)
    levels = np.linspace(joints[0, 1, 1].item() - 0.06, joints[0, 0, 1].item(), 7)
    cuts = [mesh.section((0, 1, 0), (0, level, 0)).vertices for level in levels]
    # In the T-pose no arm reaches so low; SciPy calls a planar hull's perimeter its area.
    hips = max(ConvexHull(np.asarray(cut)[:, [0, 2]]).area for cut in cuts)
    assert found["hip_girth"] == pytest.approx(hips, rel=1e-3)


def test_more_weight_makes_every_girth_wider_and_more_height_a_taller_body(body):
    names, middle = phenotype_names(), phenotypes_from_betas(np.zeros(16))

    def with_more(name, by):
        changed = middle.copy()
        changed[names.index(name)] += by
        return measure(body, torch.tensor(betas_from_phenotypes(changed), dtype=torch.float32))

    thin, fat = with_more("weight", -0.5), with_more("weight", 0.5)
    for girth in ("chest_girth", "waist_girth", "hip_girth", "thigh_girth", "upper_arm_girth", "volume"):
        assert fat[girth] > 1.05 * thin[girth], girth
    assert with_more("height", 0.2)["height"] > with_more("height", -0.2)["height"] + 0.1


def test_many_bodies_at_once_give_the_same(body):
    betas = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    vertices, joints = shape_body(body, betas)
    names, table = measure_many(vertices.numpy(), body.faces.numpy(), body.weights.numpy(), joints.numpy())
    for row, one in zip(table, betas, strict=True):
        alone = measure(body, one)
        np.testing.assert_allclose(row, [alone[name] for name in names], atol=1e-5)
