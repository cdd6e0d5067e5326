import importlib.util
import math

import numpy as np
import pytest
import torch
import trimesh

from avatargen.core.errors import ConfigError, MissingExtraError
from avatargen.core.rng import stream
from avatargen.render.cameras import orbit, project, rays
from avatargen.render.raster import interpolate, rasterize, sample_texture


def as_tensors(mesh, dtype=torch.float32):
    return torch.tensor(np.array(mesh.vertices), dtype=dtype), torch.tensor(np.array(mesh.faces))


def knot(dtype=torch.float32):
    """A torus, a ball in its hole and a box behind: they hide each other."""
    ring = trimesh.creation.torus(0.5, 0.17, 24, 12)
    ball = trimesh.creation.icosphere(2, 0.25)
    box = trimesh.creation.box((0.6, 0.6, 0.1)).apply_translation((0.2, 0.1, -0.5))
    return as_tensors(trimesh.util.concatenate([ring, ball, box]), dtype)


def first_hits(vertices, faces, origins, directions):
    """Möller and Trumbore 1997 over all pairs, in float64: the slow independent renderer."""
    a, b, c = (vertices[faces[:, i]][None] for i in range(3))
    o, d = origins[:, None], directions[:, None]
    p = np.cross(d, c - a)
    determinant = ((b - a) * p).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ((o - a) * p).sum(-1) / determinant
        q = np.cross(o - a, b - a)
        v = (d * q).sum(-1) / determinant
        t = ((c - a) * q).sum(-1) / determinant
        good = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6)
    t = np.where(good, t, np.inf)
    best = t.argmin(1)
    near = t[np.arange(len(t)), best]
    return np.where(np.isfinite(near), best, -1), near


@pytest.mark.parametrize("backend", ["embree", "torch"])
def test_what_is_seen_equals_brute_force_ray_casting(backend):
    vertices, faces = knot(torch.float64)
    cameras = orbit([20.0, 190.0], [10.0, -40.0], 2.0, size=(32, 40), dtype=torch.float64)
    origins, directions = (r.reshape(-1, 3).numpy() for r in rays(cameras))
    face, distance = first_hits(vertices.numpy(), faces.numpy(), origins, directions)
    fragments = rasterize(vertices, faces, cameras, backend)
    same = fragments.face.reshape(-1).numpy() == face
    assert same.mean() > 0.999
    forward = -cameras.world_from_camera[:, :3, 2].repeat_interleave(32 * 40, 0).numpy()
    depth = distance * (directions * forward).sum(-1)
    seen = same & (face >= 0)
    np.testing.assert_allclose(fragments.depth.reshape(-1).numpy()[seen], depth[seen], atol=1e-9)
    assert torch.isinf(fragments.depth[fragments.face < 0]).all()


def test_both_backends_see_the_same_on_more_than_999_of_1000_pixels():
    vertices, faces = knot()
    cameras = orbit(list(range(0, 360, 60)), [0.0, 20.0, -20.0, 70.0, -70.0, 5.0], 2.2, size=160)
    cast, buffered = (rasterize(vertices, faces, cameras, backend) for backend in ("embree", "torch"))
    assert (cast.face == buffered.face).float().mean() > 0.999
    assert (cast.face >= 0).float().mean() > 0.1
    near = torch.isclose(cast.depth, buffered.depth, atol=1e-3)
    assert near.float().mean() > 0.9995


def test_a_floor_that_reaches_behind_the_camera_is_seen_to_the_horizon():
    vertices = torch.tensor([[-50.0, 0, -50], [50, 0, -50], [50, 0, 50], [-50, 0, 50]])
    faces = torch.tensor([[0, 2, 1], [0, 3, 2]])
    cameras = orbit(10.0, 12.0, 3.0, (0.0, 0.5, 0.0), size=64)
    cast, buffered = (rasterize(vertices, faces, cameras, backend) for backend in ("embree", "torch"))
    assert (cast.face == buffered.face).float().mean() > 0.999
    assert (cast.face[0, 40:] >= 0).all()
    assert (cast.face[0, :8] < 0).all()


def test_a_sphere_has_the_analytic_outline_depth_and_normals():
    vertices, faces = as_tensors(trimesh.creation.icosphere(6, 0.5), torch.float64)
    cameras = orbit(25.0, 15.0, 2.0, size=128, dtype=torch.float64)
    origins, directions = (r[0] for r in rays(cameras))
    along = (origins * directions).sum(-1)
    inside = along**2 - ((origins**2).sum(-1) - 0.25)
    fragments = rasterize(vertices, faces, cameras)
    seen = fragments.face[0] >= 0
    assert (seen == (inside > 0)).double().mean() > 0.998
    both = seen & (inside > 0.02)  # not within grazing distance, where facets show
    hits = origins + (-along - inside.clamp(min=0).sqrt())[..., None] * directions
    places = interpolate(vertices, faces, fragments)[0]
    assert (places - hits)[both].norm(dim=-1).max() < 1e-3
    normals = torch.nn.functional.normalize(places, dim=-1)
    assert (normals - 2 * hits)[both].norm(dim=-1).max() < 2e-3


def test_interpolation_is_exact_in_perspective_for_a_linear_attribute():
    vertices = torch.tensor([[-1.0, -1, 0.9], [1, -1, -2], [1, 1, -2.5], [-1, 1, 0.5]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    cameras = orbit(0.0, distance=2.0, size=48, dtype=torch.float64)
    fragments = rasterize(vertices, faces, cameras, "torch")
    places = interpolate(vertices, faces, fragments)
    seen = fragments.face >= 0
    torch.testing.assert_close(fragments.bary.sum(-1)[seen], torch.ones_like(fragments.depth[seen]))
    rows, columns = torch.nonzero(seen[0], as_tuple=True)
    flat = project(places[seen], cameras)[0]
    torch.testing.assert_close(flat[:, :2], torch.stack([columns, rows], 1) + 0.5, atol=1e-9, rtol=0, check_dtype=False)
    torch.testing.assert_close(flat[:, 2], fragments.depth[seen])


def test_one_mesh_per_view_equals_separate_renderings():
    vertices, faces = knot()
    meshes = torch.stack([vertices, 0.8 * vertices, vertices + 0.1])
    cameras = orbit([0.0, 50.0, 100.0], size=48)
    for backend in ("embree", "torch"):
        together = rasterize(meshes, faces, cameras, backend)
        values = interpolate(meshes, faces, together)
        for i in range(3):
            alone = rasterize(meshes[i], faces, cameras[i], backend)
            assert torch.equal(together.face[i], alone.face[0])
            torch.testing.assert_close(values[i], interpolate(meshes[i], faces, alone)[0])


def test_a_wrong_number_of_meshes_is_refused():
    vertices, faces = knot()
    with pytest.raises(ValueError, match="2 meshes do not fit 3 cameras"):
        rasterize(vertices.expand(2, -1, -1), faces, orbit([0.0, 1.0, 2.0], size=8))


def small_scene():
    mesh = trimesh.creation.icosphere(1, 0.5)
    vertices, faces = as_tensors(mesh, torch.float64)
    # Off the grid, so that no pixel centre lies on an edge, where the seen face may switch.
    return vertices + 0.0137, faces, orbit([17.0, 80.0], [8.0, 30.0], 1.6, size=7, dtype=torch.float64)


def test_positions_depth_and_attributes_have_the_gradients_of_finite_differences():
    vertices, faces, cameras = small_scene()
    colors = torch.rand(len(vertices), 3, dtype=torch.float64, generator=stream(0, "colors"))

    def draw(points, values):
        fragments = rasterize(points, faces, cameras, "torch")
        depth = torch.where(fragments.face >= 0, fragments.depth, torch.zeros_like(fragments.depth))
        return interpolate(values, faces, fragments), depth

    assert torch.autograd.gradcheck(
        draw, (vertices.requires_grad_(), colors.requires_grad_()), eps=1e-7, atol=1e-5, fast_mode=True
    )


def test_the_texture_origin_is_the_lower_left_corner():
    texture = torch.zeros(4, 6, 3)
    texture[3, 0] = torch.tensor([1.0, 0, 0])
    texture[0, 5] = torch.tensor([0.0, 1, 0])
    uv = torch.tensor([[[[0.5 / 6, 0.5 / 4], [5.5 / 6, 3.5 / 4], [1.0 / 6, 0.5 / 4]]]])
    expected = torch.tensor([[[[1.0, 0, 0], [0, 1.0, 0], [0.5, 0, 0]]]])
    torch.testing.assert_close(sample_texture(texture, uv), expected)


def test_texture_sampling_equals_grid_sample_inside_and_has_right_gradients():
    generator = stream(0, "texture")
    texture = torch.rand(5, 7, 3, dtype=torch.float64, generator=generator)
    uv = 0.2 + 0.6 * torch.rand(1, 6, 6, 2, dtype=torch.float64, generator=generator)
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)
    theirs = torch.nn.functional.grid_sample(texture.permute(2, 0, 1)[None], grid, align_corners=False)
    torch.testing.assert_close(sample_texture(texture, uv), theirs.permute(0, 2, 3, 1))
    assert torch.autograd.gradcheck(sample_texture, (texture.requires_grad_(), uv.requires_grad_()))


def test_an_unknown_backend_is_named_with_the_known_ones():
    vertices, faces = knot()
    with pytest.raises(ConfigError, match="no rasteriser backend 'opengl'; there are: auto, embree"):
        rasterize(vertices, faces, orbit(0.0, size=8), "opengl")


OPTIONAL = {"pytorch3d": "pytorch3d", "neural-renderer": "neural_renderer"}


@pytest.mark.parametrize("extra", OPTIONAL)
def test_an_optional_backend_that_is_absent_names_its_extra(extra):
    if importlib.util.find_spec(OPTIONAL[extra]):
        pytest.skip(f"{extra} is installed")
    vertices, faces = knot()
    with pytest.raises(MissingExtraError, match=rf'pip install "avatargen\[{extra}\]"'):
        rasterize(vertices, faces, orbit(0.0, size=8), extra)


@pytest.mark.parametrize("extra", OPTIONAL)
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_an_optional_backend_sees_what_the_z_buffer_sees(extra, size):
    if not importlib.util.find_spec(OPTIONAL[extra]):
        pytest.skip(f"{extra} is not installed")
    if extra == "neural-renderer" and not torch.cuda.is_available():
        pytest.skip("neural-renderer needs a CUDA device")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vertices, faces = (t.to(device) for t in knot())
    cameras = orbit([0.0, 130.0], [10.0, -30.0], 2.0, size=size, device=device)
    theirs, ours = (rasterize(vertices, faces, cameras, backend).face for backend in (extra, "torch"))
    assert (theirs == ours).float().mean() > 0.995


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_z_buffer_sees_the_same_on_the_gpu():
    vertices, faces = knot()
    cameras = orbit([0.0, 130.0], [10.0, -30.0], 2.0, size=96)
    here = rasterize(vertices, faces, cameras, "torch").face
    there = rasterize(vertices.cuda(), faces.cuda(), cameras.to("cuda"), "torch").face
    assert (here == there.cpu()).float().mean() > 0.999


def test_focal_length_and_solid_angle_agree():
    vertices, faces = as_tensors(trimesh.creation.icosphere(5, 0.5), torch.float64)
    cameras = orbit(0.0, distance=2.0, size=512, dtype=torch.float64)
    radius = cameras.focal.item() * 0.5 / math.sqrt(4.0 - 0.25)
    assert (rasterize(vertices, faces, cameras).face >= 0).sum().item() == pytest.approx(math.pi * radius**2, rel=2e-3)
