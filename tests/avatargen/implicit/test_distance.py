import numpy as np
import torch
import trimesh

from avatargen.implicit.closest import SurfaceIndex
from avatargen.implicit.distance import _fill_hollows, distance_grid, surface_samples


def tensors(mesh):
    return torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces, dtype=torch.long)


def node_points(made):
    return made.grid.nodes(torch.arange(made.sdf.numel()))


def test_distances_in_the_band_are_exact_and_signed():
    vertices, faces = tensors(trimesh.creation.capsule(height=0.4, radius=0.1, count=[16, 16]))
    made = distance_grid(vertices, faces, spacing=0.013, pad=0.05, band=0.03)
    points, sdf = node_points(made), made.sdf.view(-1)
    exact = SurfaceIndex(vertices=vertices, faces=faces).query(points).distance
    near = exact < 0.03
    torch.testing.assert_close(sdf[near].abs(), exact[near], atol=5e-5, rtol=0)
    # Far from the facets the exact capsule decides the sign.
    axis = points.clone()
    axis[:, :2] = 0.0
    axis[:, 2] = points[:, 2].clamp(-0.2, 0.2)
    solid = (points - axis).norm(dim=-1) - 0.1
    clear = solid.abs() > 0.004
    assert torch.equal(sdf[clear] < 0, solid[clear] < 0)
    assert float((sdf - solid).abs().max()) < 0.02


def test_wherever_surfaces_grow_to_distances_and_their_slopes_are_right():
    vertices, faces = tensors(trimesh.creation.icosphere(6, radius=0.2))
    made = distance_grid(vertices, faces, spacing=0.004, pad=0.06, band=0.012)
    exact = node_points(made).norm(dim=-1).view(made.sdf.shape) - 0.2
    grown = (exact > 0.012) & (exact < 0.045)
    assert float((made.sdf - exact)[grown].abs().max()) < 3e-4
    slope = torch.stack(torch.gradient(made.sdf, spacing=0.004)).norm(dim=0)
    assert float((slope - 1.0)[grown].abs().mean()) < 0.01


def test_two_pieces_that_overlap_are_united_without_a_trace_of_the_buried_faces():
    left, right = trimesh.creation.icosphere(4, radius=0.2), trimesh.creation.icosphere(4, radius=0.1)
    right.apply_translation([0.15, 0.0, 0.0])
    vertices, faces = tensors(trimesh.util.concatenate([left, right]))
    made = distance_grid(vertices, faces, spacing=0.01, pad=0.04, band=0.03)
    points, sdf = node_points(made), made.sdf.view(-1)
    union = torch.minimum(points.norm(dim=-1) - 0.2, (points - torch.tensor([0.15, 0.0, 0.0])).norm(dim=-1) - 0.1)
    buried = (points - torch.tensor([0.06, 0.0, 0.0])).norm(dim=-1) < 0.04
    assert float(sdf[buried].max()) < -0.02
    shell = union.abs() < 0.02
    assert float((sdf[shell] - union[shell]).abs().max()) < 0.003


def test_a_detail_grid_over_part_of_the_mesh_agrees_with_the_whole():
    vertices, faces = tensors(trimesh.creation.icosphere(4, radius=0.2))
    box = torch.tensor([[-0.08, 0.12, -0.08], [0.08, 0.26, 0.08]])
    made = distance_grid(vertices, faces, spacing=0.005, band=0.02, box=box)
    points, sdf = node_points(made), made.sdf.view(-1)
    exact = points.norm(dim=-1) - 0.2
    near = exact.abs() < 0.015
    assert bool(near.any())
    assert float((sdf[near] - exact[near]).abs().max()) < 1.5e-3
    assert torch.equal(sdf < 0, sdf < 0)
    assert float(points[:, 1].min()) >= 0.12 - 1e-6


def test_hollows_that_air_cannot_reach_are_filled_and_open_ones_stay():
    x, y, z = torch.meshgrid(*[torch.arange(40.0)] * 3, indexing="ij")
    center = torch.stack([x, y, z], -1) - 20.0
    solid = center.norm(dim=-1) - 15.0
    pocket = 6.0 - center.norm(dim=-1)
    sdf = torch.maximum(solid, pocket) * 0.01
    assert float(sdf[20, 20, 20]) > 0
    filled = _fill_hollows(sdf.clone(), 0.01)
    assert float(filled[20, 20, 20]) < 0
    assert torch.equal(filled[0], sdf[0])
    # A wide shaft from above lets air in.
    shaft = 3.0 - (center[..., :2].norm(dim=-1) + torch.where(center[..., 2] > 0, 0.0, 100.0))
    opened = torch.maximum(sdf, shaft * 0.01)
    assert float(_fill_hollows(opened.clone(), 0.01)[20, 20, 22]) > 0


def test_samples_lie_on_their_faces_and_leave_no_gap():
    mesh = trimesh.creation.box(extents=(0.3, 0.2, 0.1))
    vertices, faces = tensors(mesh)
    points, owner = surface_samples(vertices[faces], 0.02)
    normals = torch.tensor(mesh.face_normals, dtype=torch.float32)[owner]
    assert float(((points - vertices[faces[owner, 0]]) * normals).sum(-1).abs().max()) < 1e-6
    anywhere, _ = trimesh.sample.sample_surface(mesh, 2000, seed=0)
    gaps = np.linalg.norm(anywhere[:, None] - points.numpy()[None], axis=-1).min(1)
    assert gaps.max() <= 0.02
