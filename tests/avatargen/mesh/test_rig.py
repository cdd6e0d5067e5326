"""Rigging against the body's own weights, exact inverses, and surfaces with a known answer."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from skimage.measure import marching_cubes

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import joint_transforms, pose_body, shape_body, skin
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.parts import PART_ID
from avatargen.core.values import Mesh, RiggedMesh
from avatargen.mesh.rig import (
    edge_graph,
    even_out,
    limbs_of_faces,
    mended,
    rig_to_body,
    soften_jumps,
    strongest_four,
)
from avatargen.render.shading import vertex_normals
from motiongen.procedural.actions import procedural_clips

BODY = load_open_body()
NAMES = list(BODY.joint_names)
ARM = [i for i, name in enumerate(NAMES) if name.endswith(("shoulder", "elbow", "wrist", "hand"))]
TRUNK = [
    NAMES.index(n) for n in ("pelvis", "spine1", "spine2", "spine3", "neck", "head", "left_collar", "right_collar")
]


def betas_of(*values: float) -> torch.Tensor:
    betas = torch.zeros(BODY.num_betas)
    betas[: len(values)] = torch.tensor(values)
    return betas


def sculpted(betas: torch.Tensor, thickness: float = 0.0, roughness: float = 0.0) -> Mesh:
    """The posed body, inflated along its normals, with noise."""
    posed = pose_body(BODY, betas[None], a_pose()[None]).vertices[0]
    normals = vertex_normals(posed, BODY.faces).numpy()
    noise = roughness * np.random.default_rng(8).normal(size=len(normals))
    points = posed.numpy() + (thickness + noise)[:, None] * normals
    return Mesh(vertices=points.astype(np.float64), faces=BODY.faces.numpy())


def offset_surface(betas: torch.Tensor, thickness: float, step: float = 0.015) -> Mesh:
    """The surface at a distance from the posed body, as extraction gives it: unlike inflation it never folds over."""
    body = sculpted(betas)
    shell = trimesh.Trimesh(body.vertices, body.faces, process=False)
    samples, face = trimesh.sample.sample_surface(shell, 60000, seed=4)
    axes = [np.arange(a - 0.06, b + 0.06, step) for a, b in zip(samples.min(0), samples.max(0), strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    distance, index = KDTree(samples).query(grid, distance_upper_bound=0.1)
    near = np.isfinite(distance)
    value = np.full(distance.shape, 0.1)
    out = ((grid[near] - samples[index[near]]) * shell.face_normals[face[index[near]]]).sum(-1)
    value[near] = distance[near] * np.sign(out)
    points, faces, _, _ = marching_cubes(value, thickness, spacing=(step,) * 3)
    parts = trimesh.Trimesh(points + [a[0] for a in axes], faces[:, ::-1]).split(only_watertight=False)
    outer = max(parts, key=lambda part: len(part.faces))
    outer.fix_normals()
    return Mesh(vertices=np.array(outer.vertices), faces=np.array(outer.faces))


def areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = points[faces]
    return 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)


def posed_again(rigged: RiggedMesh, rotations: torch.Tensor) -> np.ndarray:
    joints = torch.from_numpy(rigged.skeleton.joints)[None]
    transforms = joint_transforms(joints, rotations[None].double(), rigged.skeleton.parents)[1]
    points = torch.from_numpy(rigged.mesh.vertices.astype(np.float64))
    return skin(points, torch.from_numpy(rigged.weights), transforms)[0].numpy()


@pytest.fixture(scope="module")
def clothed() -> tuple[Mesh, RiggedMesh]:
    mesh = sculpted(betas_of(0.5, 1.0), thickness=0.02, roughness=0.001)
    return mesh, rig_to_body(mesh, BODY, betas_of(0.5, 1.0), a_pose())


@pytest.mark.parametrize("betas", [betas_of(), betas_of(1.5, -1.0, 0.5), betas_of(-1.5, 2.0)])
def test_the_body_itself_gets_its_own_rest_pose_and_weights_back(betas):
    rigged = rig_to_body(sculpted(betas), BODY, betas, a_pose())
    rest, joints = (x[0].numpy() for x in shape_body(BODY, betas[None]))
    lift = np.array([0, -rest[:, 1].min(), 0])
    np.testing.assert_allclose(rigged.mesh.vertices, rest + lift, atol=1e-4)
    np.testing.assert_allclose(rigged.skeleton.joints, joints + lift, atol=1e-5)
    np.testing.assert_allclose(rigged.weights, BODY.weights.numpy(), atol=0.02)
    assert rigged.mesh.vertices[:, 1].min() == 0.0
    assert rigged.skeleton.names == BODY.joint_names
    assert rigged.skeleton.parents == BODY.parents


def test_weights_survive_the_way_to_a_finer_copy():
    coarse = sculpted(betas_of())
    points, faces = trimesh.remesh.subdivide(coarse.vertices, coarse.faces)
    rigged = rig_to_body(Mesh(vertices=points, faces=faces), BODY, betas_of(), a_pose())
    count = len(coarse.vertices)
    np.testing.assert_array_equal(points[:count], coarse.vertices)
    np.testing.assert_allclose(rigged.weights[:count], BODY.weights.numpy(), atol=0.02)


def test_pose_correctives_are_taken_out_again():
    generator = torch.Generator().manual_seed(1)
    smooth = torch.randn(3, 207, generator=generator) * 0.004
    body = replace(BODY, pose_directions=BODY.template.sin()[:, :, None] * smooth, pose_vertices=None)
    posed = pose_body(body, betas_of()[None], a_pose()[None]).vertices[0].numpy()
    plain = pose_body(BODY, betas_of()[None], a_pose()[None]).vertices[0].numpy()
    assert np.abs(posed - plain).max() > 0.001
    rigged = rig_to_body(Mesh(vertices=posed, faces=body.faces.numpy()), body, betas_of(), a_pose())
    rest = body.template.numpy()
    np.testing.assert_allclose(rigged.mesh.vertices, rest - [0, rest[:, 1].min(), 0], atol=1e-4)


def test_posing_the_result_gives_the_sculpture_back(clothed):
    """Exactly but for the pose correctives, which an exported avatar has not: they stay small in the A-pose."""
    mesh, rigged = clothed
    lift = rigged.skeleton.joints[0] - shape_body(BODY, betas_of(0.5, 1.0)[None])[1][0, 0].numpy()
    off = np.linalg.norm(posed_again(rigged, a_pose()) - mesh.vertices - lift, axis=1)
    assert off.mean() < 0.0003
    assert off.max() < 0.012
    plain = replace(BODY, pose_directions=None, pose_vertices=None)
    exact = rig_to_body(mesh, plain, betas_of(0.5, 1.0), a_pose())
    np.testing.assert_allclose(posed_again(exact, a_pose()), mesh.vertices + lift, atol=1e-6)


def test_weights_are_at_most_four_and_sum_to_one(clothed):
    weights = clothed[1].weights
    assert ((weights > 0).sum(1) <= 4).all()
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize("calm", [False, True])
def test_a_thick_suit_does_not_bleed_between_the_legs_nor_between_arm_and_torso(clothed, calm):
    mesh, rigged = clothed
    if calm:
        rigged = rig_to_body(mesh, BODY, betas_of(0.5, 1.0), a_pose(), calm=True)
    weights, own = rigged.weights, BODY.weights.numpy()
    legs = {side: [NAMES.index(f"{side}_{j}") for j in ("hip", "knee", "ankle", "foot")] for side in ("left", "right")}
    for side, other in (("left", "right"), ("right", "left")):
        leg = own[:, legs[side]].sum(1) > 0.98
        assert weights[leg][:, legs[other]].sum(1).max() < 0.02
    flank = own[:, ARM].sum(1) == 0
    assert weights[flank][:, ARM].sum(1).max() < 0.02
    joints = pose_body(BODY, betas_of(0.5, 1.0)[None], a_pose()[None]).joints[0].numpy()
    shoulders = joints[[NAMES.index("left_shoulder"), NAMES.index("right_shoulder")]]
    reach = np.linalg.norm(mesh.vertices[:, None] - shoulders, axis=-1).min(1)
    arm = own[:, ARM].sum(1) > 0.98
    assert weights[arm & (reach > 0.2)][:, TRUNK].sum(1).max() < 0.02
    # in the fold of the armpit, where sleeve and flank touch, the two pass gradually into each other
    assert weights[arm][:, TRUNK].sum(1).max() < 0.15


@pytest.mark.parametrize("thickness", [0.01, 0.025])
def test_no_triangle_of_an_extracted_suit_grows_more_than_tenfold_on_the_way_to_the_t_pose(thickness):
    mesh = offset_surface(betas_of(0.5, 1.0), thickness)
    rigged = rig_to_body(mesh, BODY, betas_of(0.5, 1.0), a_pose())
    before, after = areas(mesh.vertices, mesh.faces), areas(rigged.mesh.vertices, mesh.faces)
    assert before.min() > 0
    assert (after / before).max() < 10


@pytest.fixture(scope="module")
def wide_poses() -> np.ndarray:
    """Every twelfth frame of the motion set's widest actions."""
    wide = ("squat", "lunge", "kick_ball", "front_kick", "punch", "stretch", "beckon", "golf", "throw")
    clips = [c.motion for c in procedural_clips(takes=1) if any(f"/{name}_" in c.motion.name for name in wide)]
    assert len(clips) >= len(wide)
    return np.concatenate([clip.rotations[::12] for clip in clips]).astype(np.float32)


def most_growth(rigged: RiggedMesh, poses: np.ndarray) -> float:
    """Of triangles of a square millimetre and more."""
    rest = areas(rigged.mesh.vertices, rigged.mesh.faces)
    worst = np.max([areas(points, rigged.mesh.faces) / rest for points in pose_rigged(rigged, poses)], axis=0)
    return float(worst[rest > 1e-6].max())


def open_edges(faces: np.ndarray) -> int:
    """Directed edges without their opposite, or there more than once."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    count = Counter(map(tuple, edges))
    return sum(times != 1 or count[(b, a)] != 1 for (a, b), times in count.items())


def test_no_triangle_of_a_mended_suit_grows_tenfold_in_squats_kicks_and_punches(wide_poses):
    betas = betas_of(0.5, 1.0)
    suit = offset_surface(betas, 0.025, step=0.02)
    thin = trimesh.Trimesh(suit.vertices, suit.faces).simplify_quadric_decimation(face_count=6000)
    small = Mesh(vertices=np.array(thin.vertices), faces=np.array(thin.faces))
    plain = rig_to_body(small, BODY, betas, a_pose())
    whole = mended(small, BODY, betas, a_pose())
    after = rig_to_body(whole, BODY, betas, a_pose(), calm=True)
    assert most_growth(plain, wide_poses) > 10.0
    assert most_growth(after, wide_poses) < 10.0
    assert open_edges(whole.faces) == open_edges(small.faces)
    np.testing.assert_array_equal(whole.vertices, small.vertices)
    assert len(whole.faces) == len(small.faces)
    assert (whole.faces != small.faces).any(1).mean() < 0.02
    # what is mended already stays as it is
    np.testing.assert_array_equal(mended(whole, BODY, betas, a_pose()).faces, whole.faces)


def test_points_midway_between_arm_and_torso_take_the_side_that_their_normal_says():
    posed = pose_body(BODY, betas_of()[None], a_pose()[None]).vertices[0]
    points, normals = posed.numpy(), vertex_normals(posed, BODY.faces).numpy()
    parts = BODY.parts.numpy()
    arm = np.unique(BODY.faces.numpy()[parts == PART_ID["left_forearm"]])
    flank = np.unique(BODY.faces.numpy()[np.isin(parts, [PART_ID["lower_torso"], PART_ID["pelvis"]])])
    inner = arm[normals[arm, 0] < -0.5]
    gaps = np.linalg.norm(points[inner][:, None] - points[flank], axis=-1)
    i, j = np.unravel_index(gaps.argmin(), gaps.shape)
    middle, across = (points[inner[i]] + points[flank[j]]) / 2, points[inner[i]] - points[flank[j]]
    x = across / np.linalg.norm(across)
    y = np.cross(x, [0, 0, 1.0])
    disc = 0.004 * np.stack([np.cos(a) * y + np.sin(a) * np.cross(x, y) for a in np.arange(6) * np.pi / 3])
    faces = np.array([[0, k, k + 1] for k in range(1, 5)])
    like_flank = rig_to_body(Mesh(vertices=middle + disc, faces=faces), BODY, betas_of(), a_pose())
    like_arm = rig_to_body(Mesh(vertices=middle + disc, faces=faces[:, ::-1].copy()), BODY, betas_of(), a_pose())
    assert like_flank.weights[:, TRUNK].sum(1).min() > 0.9
    assert like_flank.weights[:, ARM].sum(1).max() < 0.1
    assert like_arm.weights[:, ARM].sum(1).min() > 0.9


def test_rigging_twice_gives_the_same_bits(clothed):
    mesh, rigged = clothed
    again = rig_to_body(mesh, BODY, betas_of(0.5, 1.0), a_pose())
    np.testing.assert_array_equal(again.weights, rigged.weights)
    np.testing.assert_array_equal(again.mesh.vertices, rigged.mesh.vertices)


def test_texture_uvs_and_colors_travel_along():
    mesh = sculpted(betas_of())
    texture = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    painted = replace(mesh, uvs=BODY.uvs.numpy(), uv_faces=BODY.uv_faces.numpy(), texture=texture)
    rigged = rig_to_body(painted, BODY, betas_of(), a_pose())
    assert rigged.mesh.texture is texture
    assert rigged.mesh.uv_faces is painted.uv_faces


def test_limbs_are_the_two_arms_the_two_legs_and_the_rest():
    limbs, parts = limbs_of_faces(BODY), BODY.parts.numpy()
    for limb, name in enumerate(("face", "left_forearm", "right_forearm", "left_shin", "right_shin")):
        assert set(limbs[parts == PART_ID[name]]) == {limb}


def path_graph(count: int) -> csr_array:
    line = np.stack((np.arange(count), np.zeros(count), np.zeros(count)), axis=1).astype(float)
    return edge_graph(np.array([[i, i + 1, i + 1] for i in range(count - 1)]), line)


def test_vertices_a_tenth_of_a_millimetre_apart_are_not_drawn_apart():
    """With equal stiffness for all edges the two middle vertices end 0.3 apart and tear their needle open."""
    x = np.array([0.0, 0.01, 0.02, 0.0201, 0.03, 0.04])
    line = np.stack((x, np.zeros(6), np.zeros(6)), axis=1)
    graph = edge_graph(np.array([[i, i + 1, i + 1] for i in range(5)]), line)
    values = np.eye(2)[[0, 0, 0, 1, 1, 1]]
    evened = even_out(values, graph, np.array([np.inf, 0.0, 0.0, 0.0, 0.0, np.inf]))
    np.testing.assert_allclose(evened[:, 1], x / 0.04, atol=1e-9)  # straight in metres, whatever the edges
    softened = soften_jumps(np.eye(2)[[0, 0, 0, 1, 1, 1]], graph, line, np.ones(6, dtype=bool))
    assert abs(softened[3, 1] - softened[2, 1]) < 0.02


def test_values_run_straight_between_two_ends_that_insist():
    graph = path_graph(11)
    values = np.zeros((11, 2))
    values[10] = (1.0, -0.0)
    evened = even_out(values, graph, np.array([np.inf, *[0.0] * 9, np.inf]))
    np.testing.assert_allclose(evened[:, 0], np.linspace(0, 1, 11), atol=1e-12)


def test_a_part_that_hangs_from_one_end_follows_that_end():
    graph = path_graph(30)
    values = np.zeros((30, 2))
    values[:, 1] = 1.0  # what lies nearest
    values[:3] = (1.0, 0.0)  # where it is attached
    evened = even_out(values, graph, np.where(np.arange(30) < 3, np.inf, 1e-4))
    assert evened[:, 0].min() > 0.9
    np.testing.assert_allclose(evened.sum(1), 1, atol=1e-12)


def test_the_four_strongest_change_places_without_a_jump():
    t = np.linspace(0, 1, 101)
    weights = np.stack((0.4 + 0 * t, 0.2 + 0 * t, 0.2 + 0 * t, 0.2 * t, 0.2 - 0.2 * t), axis=1)
    four = strongest_four(weights)
    assert np.abs(np.diff(four, axis=0)).max() < 0.01
    assert ((four > 0).sum(1) <= 4).all()
    sparse = np.array([[0.5, 0.0, 0.25, 0.25, 0.0, 0.0]])
    np.testing.assert_array_equal(strongest_four(sparse), sparse)
    np.testing.assert_array_equal(strongest_four(sparse[:, :4]), sparse[:, :4])
    np.testing.assert_array_equal(strongest_four(np.full((1, 5), 0.2)), [[1, 0, 0, 0, 0]])


def test_jumps_are_softened_only_where_vertices_are_free():
    box = trimesh.creation.box((0.1, 0.1, 0.1)).subdivide().subdivide().subdivide()
    points = np.array(box.vertices)
    graph = edge_graph(np.array(box.faces), points)
    weights = np.eye(2)[(points[:, 0] > 0).astype(int)]
    free = points[:, 1] > 0
    soft = soften_jumps(weights, graph, points, free)
    np.testing.assert_array_equal(soft[~free], weights[~free])
    one, other = graph.nonzero()
    inside = (points[one, 1] > 0.03) & (points[other, 1] > 0.03)
    assert np.abs(soft[one] - soft[other]).sum(1)[inside].max() < 0.6
    np.testing.assert_allclose(soft.sum(1), 1, atol=1e-12)
