"""Fingers stay apart on their way from the body through the field to triangles."""

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.open_body import load_open_body
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.settings import ImplicitSettings, MeshSettings
from avatargen.core.values import Mesh
from avatargen.implicit.avatar import build_field
from avatargen.mesh.finish import mesh_from_field

COARSE = {"voxel_mm": 8.0, "head_mm": 4.0, "hand_mm": 4.0, "faces": 8000, "texture_size": 128}


@pytest.fixture(scope="module")
def default_body():
    """The field of the default body at step 0, and that body."""
    body = load_open_body()
    field = build_field(body, torch.zeros(body.num_betas), ImplicitSettings())
    surface = field.body.surface
    return field, Mesh(vertices=surface.vertices.numpy(), faces=surface.faces.numpy())


def loops_around(mesh, place, along):
    """How many closed curves a plane through `place` cuts out of the mesh within 10 cm."""
    cut = trimesh.Trimesh(mesh.vertices, mesh.faces).section(plane_origin=place, plane_normal=along)
    near = [line for line in cut.entities if np.linalg.norm(cut.vertices[line.points].mean(0) - place) < 0.1]
    assert all(line.closed for line in near)
    return sum(line.length(cut.vertices) > 0.01 for line in near)


@pytest.mark.parametrize("settings", [COARSE, {"texture_size": 128}], ids=["coarse", "standard"])
def test_fingers_of_the_default_body_are_separate_in_the_extracted_mesh(default_body, settings):
    field, start = default_body
    joints = field.joints.numpy()
    mesh = mesh_from_field(field.sdf, field.color, field.bounds.numpy(), start, joints, MeshSettings(**settings))
    for side in ("left", "right"):
        wrist, hand = (joints[SMPL_JOINTS.index(f"{side}_{name}")] for name in ("wrist", "hand"))
        along = (hand - wrist) / np.linalg.norm(hand - wrist)
        for way, fingers in ((0.8, 2), (1.2, 4), (1.3, 4)):  # palm and thumb; four fingers
            place = wrist + way * (hand - wrist)
            assert loops_around(start, place, along) == fingers
            assert loops_around(mesh, place, along) == fingers
