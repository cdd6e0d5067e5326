import numpy as np
import pytest
import torch
import trimesh
from skimage.measure import marching_cubes

from avatargen.core.errors import InputError
from avatargen.core.values import Mesh
from avatargen.mesh.clean import component_count, is_closed
from avatargen.mesh.extract import axis_lines, extract_surface

BOUNDS = np.array([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]])


def ball(points):
    return points.norm(dim=-1) - 0.3


def torus(points):
    ring = torch.stack([points[:, [0, 2]].norm(dim=-1) - 0.25, points[:, 1]], dim=-1)
    return ring.norm(dim=-1) - 0.08


def icosphere(radius=0.3):
    made = trimesh.creation.icosphere(3, radius=radius)
    return Mesh(vertices=np.asarray(made.vertices, dtype=np.float32), faces=np.asarray(made.faces))


def test_a_ball_comes_out_closed_outward_and_round():
    mesh = extract_surface(ball, BOUNDS, 0.02)
    assert is_closed(mesh)
    assert component_count(mesh) == 1
    shell = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert shell.euler_number == 2
    assert shell.volume == pytest.approx(4 / 3 * np.pi * 0.3**3, rel=0.01)
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.3).max() < 0.5 * 0.02**2 / 0.3
    outward = (shell.face_normals * shell.triangles_center).sum(1)
    assert outward.min() > 0


def test_a_torus_keeps_its_hole():
    mesh = extract_surface(torus, BOUNDS, 0.02)
    assert is_closed(mesh)
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).euler_number == 0


def test_looking_only_near_a_start_mesh_gives_the_very_same_surface():
    everywhere = extract_surface(ball, BOUNDS, 0.012)
    asked = []

    def counting(points):
        asked.append(len(points))
        return ball(points)

    near = extract_surface(counting, BOUNDS, 0.012, icosphere(0.28), reach=0.06)
    np.testing.assert_array_equal(near.faces, everywhere.faces)
    np.testing.assert_array_equal(near.vertices, everywhere.vertices)
    assert sum(asked) < 0.7 * (1 / 0.012) ** 3


def bent_torus(points):
    """Not quite a distance, as what is learned is not: its gradient is up to a third longer than one."""
    return torus(points) * (1.0 + 0.05 * torch.sin(17.0 * points[:, 0])) + 0.006 * torch.sin(40.0 * points).prod(-1)


@pytest.mark.parametrize("fine", [(), ((np.array([[-0.05, -0.1, 0.15], [0.2, 0.1, 0.4]]), 0.004),)])
def test_layers_make_the_faces_of_dense_marching_cubes_in_their_order(fine):
    mesh = extract_surface(bent_torus, BOUNDS, 0.01, fine=fine)
    lines = [axis_lines(-0.5, 0.5, 0.01, [(box[0, a], box[1, a], small) for box, small in fine]) for a in range(3)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).astype(np.float32)
    values = bent_torus(torch.from_numpy(points.reshape(-1, 3))).numpy().reshape(points.shape[:3])
    least = 1e-3 * min(np.diff(line).min() for line in lines)
    values = np.where(np.abs(values) < least, np.where(values < 0, -least, least), values)
    vertices, faces, _, _ = marching_cubes(values, level=0.0, gradient_direction="descent", allow_degenerate=True)
    places = np.stack([np.interp(vertices[:, a], np.arange(len(lines[a])), lines[a]) for a in range(3)], axis=1)
    np.testing.assert_array_equal(mesh.faces, faces)
    np.testing.assert_allclose(mesh.vertices, places, atol=1e-6)


def test_finer_cells_in_a_box_open_no_crack_and_follow_the_surface_closer():
    box = np.array([[-0.1, 0.2, -0.1], [0.1, 0.4, 0.1]])
    plain = extract_surface(ball, BOUNDS, 0.03)
    mesh = extract_surface(ball, BOUNDS, 0.03, fine=[(box, 0.008)])
    assert is_closed(mesh)
    assert component_count(mesh) == 1

    def error(made):
        inside = ((made.vertices > box[0]) & (made.vertices < box[1])).all(1)
        return np.abs(np.linalg.norm(made.vertices[inside], axis=1) - 0.3).max()

    assert error(mesh) < 0.2 * error(plain)


def test_values_of_exactly_zero_at_grid_points_tear_nothing():
    def octahedron(points):
        return (points.abs().sum(-1) - 0.25) / 3**0.5

    mesh = extract_surface(octahedron, BOUNDS, 0.03125)
    assert is_closed(mesh)
    shell = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert shell.volume == pytest.approx(4 / 3 * 0.25**3, rel=0.02)
    assert shell.euler_number == 2


def test_grid_lines_reach_the_end_and_shrink_gradually():
    lines = axis_lines(0.0, 1.0, 0.05, [(0.4, 0.5, 0.01)])
    steps = np.diff(lines)
    assert lines[0] == 0.0
    assert lines[-1] >= 1.0
    inside = (lines[:-1] >= 0.4) & (lines[1:] <= 0.5)
    assert steps[inside].max() <= 0.0101
    assert steps.max() <= 0.05 + 1e-12
    assert (steps[1:] / steps[:-1]).max() < 1.2


def test_a_field_without_surface_is_an_error_that_says_so():
    with pytest.raises(InputError, match="no surface inside the bounds"):
        extract_surface(lambda points: torch.ones(len(points)), BOUNDS, 0.05)
