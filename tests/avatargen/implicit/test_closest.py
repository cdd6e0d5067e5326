import numpy as np
import torch
import trimesh

from avatargen.implicit.closest import SurfaceIndex, closest_on_triangles


def brute_force(points, corners, steps=400):
    """Distances to a dense lattice on one triangle."""
    u, v = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    keep = u + v <= 1
    bary = np.stack([1 - u[keep] - v[keep], u[keep], v[keep]], axis=1)
    lattice = bary @ corners
    return np.array([np.linalg.norm(lattice - p, axis=1).min() for p in points])


def test_the_closest_point_of_a_triangle_equals_a_dense_search_over_it():
    rng = np.random.default_rng(0)
    for _ in range(5):
        corners = rng.normal(size=(3, 3))
        points = rng.normal(size=(40, 3)) * 1.5
        bary, squared = closest_on_triangles(torch.from_numpy(points), torch.from_numpy(corners)[None].expand(40, 3, 3))
        assert np.abs(squared.sqrt().numpy() - brute_force(points, corners)).max() < 0.01
        foot = (bary[..., None] * torch.from_numpy(corners)).sum(1)
        np.testing.assert_allclose(np.linalg.norm(foot.numpy() - points, axis=1), squared.sqrt().numpy(), atol=1e-9)
        assert float(bary.min()) >= -1e-12


def test_a_triangle_without_area_counts_as_its_edges():
    corners = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]], dtype=torch.float64)
    _, squared = closest_on_triangles(torch.tensor([[1.5, 2.0, 0.0]], dtype=torch.float64), corners)
    assert abs(float(squared) - 4.0) < 1e-9


def test_the_index_finds_the_exact_closest_face_among_triangles_of_very_different_sizes():
    fine = trimesh.creation.icosphere(subdivisions=3, radius=0.02)
    coarse = trimesh.creation.box(extents=(1.0, 0.4, 0.6))
    fine.apply_translation([0.52, 0.0, 0.0])
    both = trimesh.util.concatenate([fine, coarse])
    vertices = torch.tensor(both.vertices, dtype=torch.float64)
    faces = torch.tensor(both.faces, dtype=torch.long)
    points = torch.from_numpy(np.random.default_rng(1).uniform(-0.8, 0.8, size=(300, 3)))
    points = torch.cat([points, vertices[:50] + 0.001])
    found = SurfaceIndex(vertices=vertices, faces=faces).query(points)
    every = points.repeat_interleave(len(faces), 0)
    _, squared = closest_on_triangles(every, vertices[faces].repeat(len(points), 1, 1))
    torch.testing.assert_close(found.distance, squared.view(len(points), -1).amin(1).sqrt(), atol=1e-9, rtol=0)
