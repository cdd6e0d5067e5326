"""Normal maps give the lost normals back, occlusion equals integrals, and other programs see them."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from scipy.integrate import quad
from scipy.spatial import KDTree

from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.export.blender import encode_in_blender
from avatargen.export.gltf import encode_glb
from avatargen.export.obj import encode_obj
from avatargen.export.surface import sample_texture, smooth_normals, split_at_seams
from avatargen.mesh.detail import field_normals, openness, tangent_normals, with_detail
from avatargen.mesh.texture import rasterize_uvs, unfold
from avatargen.render.tangents import corner_tangents

SETTINGS = MeshSettings(texture_size=512, normal_map=True, occlusion=True)
RADIUS, HEIGHT, WAVES = 0.2, 0.004, 60.0


def bumpy(points: torch.Tensor) -> torch.Tensor:
    """A ball with waves a tenth of a radian wide."""
    waves = torch.sin(WAVES * points).prod(1)
    return points.norm(dim=1) - RADIUS - HEIGHT * waves


def bumpy_normals(points: np.ndarray) -> np.ndarray:
    """The gradient, worked out by hand."""
    sines, cosines = np.sin(WAVES * points), np.cos(WAVES * points)
    waves = np.stack([cosines[:, i] * sines[:, j] * sines[:, k] for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))], 1)
    slope = points / np.linalg.norm(points, axis=1, keepdims=True) - HEIGHT * WAVES * waves
    return slope / np.linalg.norm(slope, axis=1, keepdims=True)


def ball(subdivisions: int = 3) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions, RADIUS)
    return Mesh(vertices=np.array(sphere.vertices), faces=np.array(sphere.faces))


@pytest.fixture(scope="module")
def baked() -> Mesh:
    coarse = unfold(ball(), SETTINGS)
    return with_detail(coarse, bumpy, coarse, SETTINGS)


def seen_normals(mesh: Mesh, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """What a renderer that knows the glTF specification alone shows: TANGENT, NORMAL and the picture, mixed."""
    split = split_at_seams(mesh)
    corners = split.faces[face]
    normal, tangent = smooth_normals(mesh)[split.source][corners], split.tangents[corners]
    side = np.cross(normal, tangent[..., :3]) * tangent[..., 3:]
    t, b, n = (np.einsum("nk,nkc->nc", bary, v) for v in (tangent[..., :3], side, normal))
    uv = np.einsum("nk,nkc->nc", bary, mesh.uvs[mesh.uv_faces[face]])
    x, y, z = (2 * sample_texture(mesh.normal_map, uv) - 1).T
    out = x[:, None] * t + y[:, None] * b + z[:, None] * n
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((a * b).sum(1), -1, 1)))


def test_the_map_of_a_decimated_bumpy_ball_gives_its_normals_back(baked):
    rng = np.random.default_rng(4)
    face, bary = rng.integers(0, len(baked.faces), 4000), rng.dirichlet(np.ones(3), 4000)
    points = np.einsum("nk,nkc->nc", bary, baked.vertices[baked.faces[face]])
    out = points / np.linalg.norm(points, axis=1, keepdims=True)
    for _ in range(30):  # along the ray from the middle to the true surface
        points = points - out * bumpy(torch.from_numpy(points)).numpy()[:, None]
    true = bumpy_normals(points)
    smooth = degrees(out, true)
    mapped = degrees(seen_normals(baked, face, bary), true)
    assert np.median(smooth) > 4.0
    assert np.median(mapped) < 1.0
    assert np.quantile(mapped, 0.99) < 5.0


def test_a_ball_without_bumps_has_a_flat_map():
    coarse = unfold(ball(), SETTINGS)
    flat = with_detail(coarse, lambda p: p.norm(dim=1) - RADIUS, coarse, replace(SETTINGS, occlusion=False))
    texels = rasterize_uvs(coarse, 512)
    shown = flat.normal_map[texels.row, texels.column] / 127.5 - 1
    # corners' normals, mixed, differ from the ball's by a degree
    assert np.abs(shown[:, :2]).max() < 0.03
    assert shown[:, 2].min() > 0.99
    assert flat.occlusion is None


def test_slopes_are_the_analytic_gradient():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(500, 3))
    points *= RADIUS / np.linalg.norm(points, axis=1, keepdims=True)
    assert degrees(field_normals(points, bumpy, 0.0005), bumpy_normals(points)).max() < 0.5


def test_tangents_are_square_to_the_normals_and_follow_u(baked):
    smooth = smooth_normals(baked)
    tangents = corner_tangents(baked.vertices, smooth, baked.faces, baked.uvs, baked.uv_faces)
    np.testing.assert_allclose(np.linalg.norm(tangents[..., :3], axis=-1), 1, atol=1e-9)
    np.testing.assert_allclose((tangents[..., :3] * smooth[baked.faces]).sum(-1), 0, atol=1e-9)
    assert set(np.unique(tangents[..., 3])) <= {-1.0, 1.0}


def plane(flip: bool) -> Mesh:
    """A square in z = 0 whose u runs along y, and v along -x, or x where it is flipped."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    v = vertices[:, 0] if flip else 1 - vertices[:, 0]
    return Mesh(vertices=vertices, faces=faces, uvs=np.stack([vertices[:, 1], v], 1), uv_faces=faces)


@pytest.mark.parametrize("flip", [False, True])
def test_a_flipped_chart_has_the_other_sign(flip):
    mesh = plane(flip)
    tangents = corner_tangents(mesh.vertices, np.tile([0, 0, 1.0], (4, 1)), mesh.faces, mesh.uvs, mesh.uv_faces)
    expected = [0, 1, 0, -1.0 if flip else 1.0]
    np.testing.assert_allclose(tangents, np.broadcast_to(expected, (2, 3, 4)), atol=1e-12)


@pytest.mark.parametrize("flip", [False, True])
def test_a_normal_leaning_along_v_is_green(flip):
    mesh = plane(flip)
    texels = rasterize_uvs(mesh, 8)
    along_v = np.array([1.0 if flip else -1.0, 0, 0])
    lean = 0.6 * along_v + 0.8 * np.array([0, 0, 1.0])
    found = tangent_normals(mesh, texels, np.tile(lean, (len(texels.row), 1)))
    np.testing.assert_allclose(found, np.broadcast_to([0, 0.6, 0.8], found.shape), atol=1e-9)


def wall() -> Mesh:
    """A large wall in the plane x = 0 that faces +x, on both sides of the floor."""
    corners = np.array([[0, -90, -90], [0, 90, -90], [0, 90, 90], [0, -90, 90]], dtype=float)
    return Mesh(vertices=corners, faces=np.array([[0, 1, 2], [0, 2, 3]]))


@pytest.mark.parametrize("away", [0.01, 0.05, 0.1, 0.2])
def test_occlusion_beside_a_wall_is_the_integral(away):
    """A ray at angle a from the wall's direction, in the floor's cosine, hits at away / cos(a)."""

    def hidden(cosine_x: float) -> float:
        # share of the cosine-weighted half sphere whose direction has this x: a chord of the unit disc
        distance = away / max(cosine_x, 1e-12)
        return 2 * np.sqrt(1 - cosine_x**2) / np.pi * max(0.0, 1 - distance / 0.12)

    expected = 1 - quad(hidden, 0, 1, points=[min(away / 0.12, 1)], epsabs=1e-9)[0]
    floor = np.tile([away, 0.0, 0.0], (64, 1))
    found = openness(floor, np.tile([0, 1.0, 0], (64, 1)), wall(), rays=256)
    assert abs(found.mean() - expected) < 0.01
    assert found.std() < 0.03


def test_in_the_corner_of_a_box_it_is_dark_and_in_its_middle_bright():
    box = trimesh.creation.box((2, 2, 2)).subdivide()
    inside = Mesh(vertices=np.array(box.vertices), faces=np.array(box.faces)[:, ::-1])
    places = np.array([[0.0, -1, 0], [0.98, -1, 0], [0.98, -1, 0.98]])
    middle, edge, corner = openness(places, np.tile([0, 1.0, 0], (3, 1)), inside, rays=256)
    assert middle == 1.0
    assert corner < edge - 0.1 < 0.8


def test_the_validator_finds_nothing_and_the_material_names_both_pictures(validate, baked):
    report = validate(encode_glb(baked, name="ball"))
    assert (report["issues"]["numErrors"], report["issues"]["numWarnings"]) == (0, 0), report["issues"]["messages"]
    assert sum("image" in r for r in report["info"]["resources"]) == 2


@pytest.mark.blender
def test_blender_takes_the_map_and_its_own_tangents_are_ours(blender, baked):
    report, _ = blender(encode_glb(baked, name="ball"), ".glb", [0])
    assert report["normal_images"] == ["ball_normal"]
    corners = np.array(report["tangents"])
    split = split_at_seams(baked)
    ours = split.tangents
    x, y, z = baked.vertices[split.source].T
    _, near = KDTree(np.stack([x, -z, y, *split.uvs.T], axis=1)).query(corners[:, :5], distance_upper_bound=1e-5)
    np.testing.assert_array_equal(corners[:, 8], ours[near, 3])
    turned = np.stack([ours[near, 0], -ours[near, 2], ours[near, 1]], axis=1)
    assert degrees(corners[:, 5:8], turned).max() < 0.5


@pytest.mark.blender
@pytest.mark.parametrize("kind", ["fbx", "usdz"])
def test_the_map_comes_along_into_blenders_formats(blender, baked, kind):
    colored = replace(baked, texture=np.full((64, 64, 3), 120, np.uint8))
    data = encode_in_blender([kind], colored, name="ball")[f"ball.{kind}"]
    report, _ = blender(data, f".{kind}", [0])
    assert [name.removesuffix(".png") for name in report["normal_images"]] == ["ball_normal"]


def test_the_obj_names_the_map_in_its_material(baked):
    files = encode_obj(replace(baked, texture=np.full((8, 8, 3), 120, np.uint8)), "ball")
    assert list(files) == ["ball.png", "ball_normal.png", "ball.mtl", "ball.obj"]
    assert b"norm ball_normal.png" in files["ball.mtl"].splitlines()
    picture = np.asarray(Image.open(io.BytesIO(files["ball_normal.png"])))
    np.testing.assert_array_equal(picture, baked.normal_map)
