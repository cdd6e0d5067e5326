"""The body's own mesh on surfaces with a known answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body, shape_body
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import ConfigError
from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.mesh.clean import face_areas
from avatargen.mesh.finish import check_mesh, mesh_from_field
from avatargen.mesh.rig import rig_own_mesh
from avatargen.mesh.template import free_ways, onto_surface
from avatargen.render.fragments import sample_texture
from motiongen.procedural.actions import procedural_clips

BODY = load_open_body()
EXTREME = ("squat_0", "lunge_0", "stretch_0", "kick_ball_0", "throw_0")


def ball(radius=0.3):
    made = trimesh.creation.icosphere(3, radius)
    return Mesh(vertices=np.asarray(made.vertices, np.float32), faces=np.asarray(made.faces, np.int64))


def ellipsoid(points):
    """An exact distance to second order: f / |grad f| of x^2 / a^2 + ... - 1 = f."""
    half = torch.tensor([0.33, 0.28, 0.31])
    f = (points / half).square().sum(-1) - 1
    return f / (2 * points / half.square()).norm(dim=-1).clamp(min=1e-6)


def test_every_vertex_comes_to_lie_on_the_surface_along_its_normal():
    moved = onto_surface(ball(), ellipsoid, 0.09)
    assert ellipsoid(torch.from_numpy(moved.vertices)).abs().max() < 1e-3
    before = ball().vertices / np.linalg.norm(ball().vertices, axis=1, keepdims=True)
    after = moved.vertices / np.linalg.norm(moved.vertices, axis=1, keepdims=True)
    assert (before * after).sum(1).min() > 0.99999
    np.testing.assert_array_equal(moved.faces, ball().faces)


def test_what_has_no_surface_of_its_own_moves_with_its_neighbours():
    def swollen(points):
        # a ball, grown together with a large block over its top
        return torch.minimum(points.norm(dim=-1) - 0.32, -(points[:, 1] - 0.25))

    moved = onto_surface(ball(), swollen, 0.09)
    radius = np.linalg.norm(moved.vertices, axis=1)
    assert np.abs(radius - 0.32).max() < 2e-3


def trough(radius=0.03, columns=25, rows=9):
    """The inside of a gutter along z, 120 degrees wide, its normals meeting in the axis."""
    angle, z = np.meshgrid(np.radians(np.linspace(-60, 60, columns)), np.linspace(0, 0.02, rows))
    points = np.stack([radius * np.sin(angle), -radius * np.cos(angle), z], axis=-1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    a, b, c, d = corner, corner + 1, corner + columns + 1, corner + columns
    faces = np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])
    return Mesh(vertices=points.astype(np.float32), faces=faces)


def test_ways_that_meet_squash_no_face(monkeypatch):
    """Filled up to 4 mm below the axis, straight ways would leave 4/30 of the width at the bottom."""
    mesh = trough()

    def share(mesh=mesh):
        moved = onto_surface(mesh, lambda points: points[:, 1] + 0.004, 0.09)
        assert (moved.vertices[:, 1] > mesh.vertices[:, 1]).all()
        return float((face_areas(moved) / face_areas(mesh)).min())

    assert share() > 0.2
    monkeypatch.setattr("avatargen.mesh.template._UNSQUASHING", 1)
    assert share() == pytest.approx(4 / 30, rel=0.05)


def test_a_vertex_does_not_pass_through_another_part():
    one = trimesh.creation.icosphere(3, 0.1)
    other = one.copy().apply_translation((0.21, 0, 0))
    both = trimesh.util.concatenate([one, other])
    mesh = Mesh(vertices=np.asarray(both.vertices, np.float32), faces=np.asarray(both.faces, np.int64))
    normals = np.concatenate([one.vertices, one.vertices]) / 0.1
    free = free_ways(mesh, normals, np.ones(len(normals)))
    assert free[: len(one.vertices)][one.vertices[:, 0].argmax()] == pytest.approx(0.01, abs=5e-4)
    assert np.isinf(free[: len(one.vertices)][one.vertices[:, 0].argmin()])


@pytest.fixture(scope="module")
def suit():
    """The open body in a suit 8 mm thick, as a template avatar; an exact distance field of the body."""
    posed = pose_body(BODY, torch.zeros(1, BODY.num_betas), a_pose()[None])
    points = posed.vertices[0].numpy()
    start = Mesh(vertices=points, faces=BODY.faces.numpy(), uvs=BODY.uvs.numpy(), uv_faces=BODY.uv_faces.numpy())
    shell = trimesh.Trimesh(points, start.faces, process=False)
    samples, face = trimesh.sample.sample_surface(shell, 150_000, seed=2)
    from scipy.spatial import KDTree

    tree, normals = KDTree(samples), shell.face_normals[face]

    def sdf(query):
        away, index = tree.query(query.numpy(), k=1)
        side = ((query.numpy() - samples[index]) * normals[index]).sum(1)
        return torch.from_numpy((np.where(side < 0, -away, away) - 0.008).astype(np.float32))

    def color(places):
        return (places - places.amin(0)) / (places.amax(0) - places.amin(0))

    settings = MeshSettings(topology="template", texture_size=256)
    bounds = np.stack([points.min(0) - 0.1, points.max(0) + 0.1])
    return start, mesh_from_field(sdf, color, bounds, start, posed.joints[0].numpy(), settings)


def test_the_template_keeps_the_body_s_vertices_faces_and_uvs(suit):
    start, made = suit
    np.testing.assert_array_equal(made.faces, start.faces)
    np.testing.assert_array_equal(made.uvs, start.uvs)
    np.testing.assert_array_equal(made.uv_faces, start.uv_faces)
    assert made.texture.shape == (256, 256, 3)
    way = np.linalg.norm(made.vertices - start.vertices, axis=1)
    assert np.quantile(np.abs(way - 0.008), 0.9) < 0.002
    assert way.max() < 0.02


def test_the_texture_shows_each_place_s_color(suit):
    _, made = suit
    rng = np.random.default_rng(0)
    face, bary = rng.integers(len(made.faces), size=4000), rng.dirichlet([1, 1, 1], size=4000)
    places = (made.vertices[made.faces[face]] * bary[..., None]).sum(1)
    uvs = (made.uvs[made.uv_faces[face]] * bary[..., None]).sum(1).astype(np.float32)
    seen = sample_texture(torch.from_numpy(made.texture).float() / 255, torch.from_numpy(uvs)).numpy()
    wanted = (places - made.vertices.min(0)) / np.ptp(made.vertices, axis=0)
    assert np.median(np.abs(seen - wanted).max(1)) < 0.02


def test_it_keeps_the_body_s_weights_and_unposes_exactly(suit):
    start, _ = suit
    betas = torch.zeros(BODY.num_betas)
    rigged = rig_own_mesh(start, BODY, betas, a_pose())
    rest = shape_body(BODY, betas[None])[0][0].numpy()
    np.testing.assert_allclose(rigged.mesh.vertices, rest - [0, rest[:, 1].min(), 0], atol=1e-5)
    np.testing.assert_allclose(rigged.weights, BODY.weights.numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="are not the body's"):
        rig_own_mesh(ball(), BODY, betas, a_pose())


@pytest.mark.parametrize(
    ("settings", "words"),
    [(MeshSettings(topology="quads"), "scan and template"), (MeshSettings(faces=3), "at least 100")],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        check_mesh(settings)


def test_no_triangle_of_the_suit_is_torn_in_wide_poses_and_little_is_changed_for_it(suit):
    _, made = suit
    rigged = rig_own_mesh(made, BODY, torch.zeros(BODY.num_betas), a_pose())
    assert np.quantile(np.abs(rigged.weights - BODY.weights.numpy()).max(1), 0.98) < 1e-6
    clips = [clip for clip in procedural_clips(takes=1) if clip.motion.name.split("/")[1] in EXTREME]
    assert len(clips) == len(EXTREME)
    before = face_areas(rigged.mesh)
    for clip in clips:
        for points in pose_rigged(rigged, clip.motion.rotations[::6].astype(np.float32)):
            after = face_areas(replace(rigged.mesh, vertices=points))
            assert (after[before > 1e-6] / before[before > 1e-6]).max() < 10
