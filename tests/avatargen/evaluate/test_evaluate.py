from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from torch.nn.functional import normalize

from avatargen.body.open_body import load_open_body
from avatargen.core.rng import numpy_stream
from avatargen.core.values import Mesh, Motion, RiggedMesh, Shape, Skeleton
from avatargen.evaluate.colors import BASIC, face_colors, nearest_basic, part_colors
from avatargen.evaluate.crossings import crossing_faces
from avatargen.evaluate.integrity import mesh_report, texel_density
from avatargen.evaluate.judge import judge, judge_colors, look_distance
from avatargen.evaluate.moving import motion_report, pairwise_distance
from avatargen.evaluate.rig import stretch_report, weight_report
from avatargen.guidance.embedded.slots import SLOT_ID
from avatargen.training.slot_labels import face_slots


def mesh_of(shell):
    return Mesh(vertices=np.asarray(shell.vertices, dtype=np.float32), faces=np.asarray(shell.faces))


def crosses(one, two):
    """Whether two triangles share a point: a linear programme in the barycentric coordinates of both."""
    from scipy.optimize import linprog

    equal = np.zeros((5, 6))
    equal[:3, :3], equal[:3, 3:] = one.T, -two.T
    equal[3, :3] = equal[4, 3:] = 1
    return linprog(np.zeros(6), A_eq=equal, b_eq=[0, 0, 0, 1, 1], bounds=[(0, 1)] * 6).status == 0


def test_faces_that_cross_are_those_that_share_a_point():
    generator = numpy_stream(3, "crossings")
    corners = (
        generator.normal(0, 1, (24, 1, 3))
        + generator.normal(0, 0.7, (24, 3, 3)) * np.repeat([0.3, 2.0], 12)[:, None, None]
    )
    mesh = Mesh(vertices=corners.reshape(-1, 3).astype(np.float32), faces=np.arange(72).reshape(-1, 3))
    corners = mesh.vertices.astype(np.float64).reshape(-1, 3, 3)
    expected = np.zeros(24, dtype=bool)
    for i in range(24):
        for j in range(i):
            if crosses(corners[i], corners[j]):
                expected[[i, j]] = True
    assert 4 < expected.sum() < 24
    np.testing.assert_array_equal(crossing_faces(mesh), expected)


def test_a_sphere_is_sound_and_two_that_overlap_cross_along_their_circle():
    ball = trimesh.creation.icosphere(subdivisions=3)
    report = mesh_report(mesh_of(ball))
    assert report["volume"] == pytest.approx(ball.volume, abs=1e-4)
    assert not any(report[name] for name in list(report)[3:])
    # Not by a symmetric amount: there edges would touch edges, and touching is not crossing.
    other = ball.copy().apply_transform(trimesh.transformations.rotation_matrix(0.3, [1, 2, 3]))
    other.apply_translation([1.1, 0.07, 0.03])
    both = mesh_of(trimesh.util.concatenate([ball, other]))
    crossed = crossing_faces(both)
    middles = both.vertices[both.faces].mean(1)[crossed]
    # The spheres meet in the plane halfway between their middles.
    axis = np.array([1.1, 0.07, 0.03])
    assert crossed.sum() > 40
    assert np.abs((middles - axis / 2) @ axis / np.linalg.norm(axis)).max() < 0.15
    assert mesh_report(both)["pieces_besides_the_first"] == 1


def test_holes_fins_and_slivers_are_counted():
    box = trimesh.creation.box()
    assert mesh_report(Mesh(vertices=box.vertices, faces=box.faces[1:]))["open_edges"] == 3
    a, b, _ = box.faces[0]
    fin = np.concatenate([box.faces, [[a, b, 8]]])
    with_fin = Mesh(vertices=np.concatenate([box.vertices, [[2.0, 2.0, 2.1]]]), faces=fin)
    assert mesh_report(with_fin)["non_manifold_edges"] == 1
    flat = box.vertices.copy()
    flat[box.faces[0][0]] = flat[box.faces[0][1]]
    assert mesh_report(Mesh(vertices=flat, faces=box.faces))["degenerate_faces"] >= 1


def strip(weights, texture=None):
    """Two triangles, a metre square in the plane z = 0, on two bones that meet at its lower edge."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float32)
    uvs = corners[:, :2].copy() if texture is not None else None
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = Mesh(vertices=corners, faces=faces, uvs=uvs, uv_faces=None if uvs is None else faces, texture=texture)
    skeleton = Skeleton(names=("root", "head"), parents=(-1, 0), joints=np.zeros((2, 3), dtype=np.float32))
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=weights)


def test_texels_per_centimetre_of_a_square_metre():
    avatar = strip(np.array([[0, 1.0]] * 4), np.zeros((500, 500, 3), dtype=np.uint8))
    assert texel_density(avatar) == {"median": 5.0, "head": 5.0}
    assert texel_density(strip(np.array([[0, 1.0]] * 4))) is None


def test_stretch_is_the_growth_of_the_worst_triangle():
    # The upper edge follows the second bone, which turns by 180 degrees about x: the square is as large as before,
    # upside down. Turned by 90 degrees it lies flat, as large. Halfway weights shrink it to nothing in between.
    avatar = strip(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]))
    turn = torch.eye(3).repeat(2, 2, 1, 1).numpy()
    turn[1, 1] = [[2, 0, 0], [0, 2, 0], [0, 0, 2]]  # not a rotation: it doubles the height and shears
    found = stretch_report(avatar, turn)
    assert found["poses"] == 2
    assert found["largest_growth"] == pytest.approx(4.0)  # the upper triangle: base 2, height 2
    assert weight_report(avatar) == {"bones_per_vertex": 1, "weight_sum_error": 0.0}


def test_basic_colors_are_nearest_to_themselves():
    assert all(nearest_basic(np.array(rgb) / 255) == name for name, rgb in BASIC.items())


@pytest.fixture(scope="module")
def painted():
    """The open body in T-pose with a red chest and belly, blue legs, and grey elsewhere."""
    body = load_open_body()
    slots = face_slots(body)
    points = body.template.numpy() - np.array([0, float(body.template[:, 1].min()), 0], dtype=np.float32)
    colors = np.full((len(points), 3), 0.5, dtype=np.float32)
    for names, rgb in ((("chest", "belly", "shirt_front"), BASIC["red"]), (("thighs", "shins"), BASIC["blue"])):
        for name in names:
            colors[np.unique(body.faces.numpy()[slots == SLOT_ID[name]])] = np.array(rgb) / 255
    joints = (body.joint_regressor @ body.template).numpy().astype(np.float32)
    joints[:, 1] -= float(body.template[:, 1].min())
    mesh = Mesh(vertices=points, faces=body.faces.numpy(), vertex_colors=colors)
    skeleton = Skeleton(names=body.joint_names, parents=body.parents, joints=joints)
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=body.weights.numpy())


def test_parts_have_the_color_that_the_text_gives_them(painted):
    body = load_open_body()
    shape = Shape(betas=np.zeros(body.num_betas, dtype=np.float32), body="open")
    found = {p.part: p for p in part_colors("a person in a red tank top and blue trousers", painted, shape, body)}
    assert {name for name, part in found.items() if part.right} >= {"chest", "belly", "thighs", "shins"}
    assert (found["back"].got, found["back"].right) == ("grey", False)
    swapped = {p.part: p.right for p in part_colors("a blue tank top and red trousers", painted, shape, body)}
    assert not any(swapped.values())
    assert part_colors("a person", painted, shape, body) == []


def test_texture_and_vertex_colors_are_read_alike():
    texture = np.zeros((2, 2, 3), dtype=np.uint8)
    texture[0] = 255  # the upper half of the picture
    avatar = strip(np.array([[0, 1.0]] * 4), texture)
    np.testing.assert_allclose(face_colors(avatar.mesh), [[0, 0, 0], [1, 1, 1]])


def motion_of(painted, phase, frames=31):
    rotations = np.tile(np.eye(3, dtype=np.float32), (frames, 24, 1, 1))
    angle = 0.5 * np.sin(2 * np.pi * np.arange(frames) / (frames - 1) + phase)
    rotations[:, 18, 0, 0] = rotations[:, 18, 1, 1] = np.cos(angle)
    rotations[:, 18, 0, 1], rotations[:, 18, 1, 0] = -np.sin(angle), np.sin(angle)
    root = np.tile(painted.skeleton.joints[0], (frames, 1)).astype(np.float32)
    return Motion(
        rotations=rotations,
        root_position=root,
        rest_root_height=float(root[0, 1]),
        joint_names=painted.skeleton.names,
        fps=30.0,
    )


def test_a_loop_closes_and_half_of_one_does_not(painted):
    whole = motion_of(painted, 0.0)
    half = replace(whole, rotations=whole.rotations[:8], root_position=whole.root_position[:8])
    assert motion_report(whole, painted)["loop_gap"] == 0.0
    found = motion_report(half, painted)
    assert found["loop_gap"] > 3 * found["smooth_gap"] > 0
    assert found["foot_skate"] == 0.0
    assert pairwise_distance([whole, whole], [painted, painted]) == 0.0
    assert pairwise_distance([whole, motion_of(painted, 1.0)], [painted, painted]) > 0
    assert pairwise_distance([whole], [painted]) is None


class _ByMeanColor:
    """A judge that knows three words and sees one mean color."""

    name, version, image_size, licence = "embedded", "test", 32, ""

    def encode_image(self, images):
        return normalize(images.mean((2, 3)), dim=-1)

    def encode_text(self, texts):
        table = {"white": [1.0, 1, 1], "red": [1.0, 0, 0], "green": [0.3, 1, 0]}
        return normalize(torch.tensor([table.get(t, [0.0, 0, 1]) for t in texts]), dim=-1)


def test_the_judge_ranks_the_text_among_others(painted):
    verdict = judge(painted, "white", ["red", "green", "white"], _ByMeanColor())  # the backdrop is white
    assert (verdict.rank, verdict.among, verdict.confused_with) == (1.0, 3, "green")
    assert judge(painted, "red", ["white"], _ByMeanColor()).rank == 2.0
    assert judge(painted, "blue", ["violet"], _ByMeanColor()).rank == 1.5  # says the same to this judge


def test_measured_colors_pick_the_text_that_is_true_of_most(painted):
    body = load_open_body()
    shape = Shape(betas=np.zeros(body.num_betas, dtype=np.float32), body="open")
    true, less = "a person in a red shirt and blue trousers", "a person in blue trousers"
    wrong = "a person in a blue shirt and red trousers"
    # The back and the arms are grey, so the shirt is half true, and naming it costs.
    grey = "a person in grey gloves and blue trousers"
    assert judge_colors(painted, less, [wrong, "a person"], shape, body).rank == 1
    assert judge_colors(painted, wrong, [less, grey, true], shape, body).rank == 4
    most = judge_colors(painted, grey, [less, wrong], shape, body)
    assert (most.rank, most.among, most.confused_with) == (1.0, 3, less)
    assert 0.7 < most.score < 0.8  # of hands, pelvis, thighs and shins the pelvis is grey
    assert judge_colors(painted, less, [grey], shape, body).confused_with == grey
    assert judge_colors(painted, "a person", [less], shape, body) is None


def test_pictures_of_one_avatar_are_alike_and_of_two_colors_are_not(painted):
    pale = replace(painted, mesh=replace(painted.mesh, vertex_colors=np.ones_like(painted.mesh.vertex_colors)))
    assert look_distance([painted, painted], 48) == 0.0
    apart = look_distance([painted, pale], 48)
    assert apart == look_distance([pale, painted], 48)
    assert look_distance([painted, painted, pale], 48) == pytest.approx(2 / 3 * apart, abs=1e-4)
    assert apart > 0.15
