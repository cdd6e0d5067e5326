"""The shipped open body: its promises as a file, a mesh and a population."""

import hashlib
import io
import itertools
import zipfile
from importlib.resources import files

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.open_body import (
    beta_descriptions,
    betas_from_phenotypes,
    load_open_body,
    mirror_map,
    phenotype_names,
    phenotypes_from_betas,
    population,
    surface_masks,
)
from avatargen.body.posing import shape_body
from avatargen.core.parts import PART_ID, PARTS, SMPL_JOINTS, SMPL_PARENTS

FLIP = torch.tensor([-1.0, 1.0, 1.0])
SIDES = [PARTS.index(p.replace("left", "R").replace("right", "left").replace("R", "right")) for p in PARTS]
JOINT_SIDES = [
    SMPL_JOINTS.index(j.replace("left", "R").replace("right", "left").replace("R", "right")) for j in SMPL_JOINTS
]


@pytest.fixture(scope="module")
def body():
    return load_open_body()


@pytest.fixture(scope="module")
def mirror():
    return torch.from_numpy(mirror_map())


@pytest.fixture(scope="module")
def shapes():
    return torch.randn(12, 16, generator=torch.Generator().manual_seed(4))


def test_the_file_is_small_plain_and_carries_its_licence():
    raw = files("avatargen.body").joinpath("data/open_body.npz").read_bytes()
    assert len(raw) < 6_000_000
    with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
        names = set(archive.files)
        assert all(archive[name].dtype != object for name in names)
        assert "CC0" in str(archive["license"])
        assert archive["posedirs"].shape == (13492, 3, 207)
    assert {"v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f"} <= names
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert "CC0" in files("avatargen.body").joinpath("data/OPEN_BODY_LICENSE.txt").read_text()
    assert load_open_body().version == hashlib.blake2b(raw, digest_size=6).hexdigest()


def test_joints_are_smpls_and_parents_come_first(body):
    assert body.joint_names == SMPL_JOINTS
    assert body.parents == SMPL_PARENTS


def test_every_component_of_the_mesh_is_closed_and_faces_outward(body):
    mesh = trimesh.Trimesh(body.template.numpy(), body.faces.numpy(), process=False)
    pieces = mesh.split(only_watertight=False)
    assert len(pieces) == 3
    assert sorted(len(piece.vertices) for piece in pieces) == [72, 72, 13348]
    assert all(piece.is_watertight and piece.is_winding_consistent and piece.volume > 0 for piece in pieces)


def test_template_directions_weights_and_regressor_are_mirror_images(body, mirror):
    assert torch.equal(mirror[mirror], torch.arange(len(mirror)))
    assert (body.template[mirror] * FLIP - body.template).abs().max() < 1e-6
    directions = body.shape_directions
    # Stored in half precision: one unit in the last place of an offset of some centimetres.
    assert (directions[mirror] * FLIP[:, None] - directions).abs().max() < 1e-4
    assert (body.weights[mirror][:, JOINT_SIDES] - body.weights).abs().max() < 1e-5
    assert (body.joint_regressor[JOINT_SIDES][:, mirror] - body.joint_regressor).abs().max() < 1e-6


def test_faces_and_their_labels_are_mirror_images(body, mirror):
    def keys(faces):
        return [tuple(sorted(face)) for face in faces.tolist()]

    label = dict(zip(keys(body.faces), body.parts.tolist(), strict=True))
    away = [key for key in keys(mirror[body.faces]) if key not in label]
    # Only quads that lie across the middle cannot be split alike on both sides.
    assert all(abs(body.template[list(key), 0]).min() < 1e-3 for key in away)
    assert len(away) < 200
    wrong = sum(
        label[key] != SIDES[label[own]]
        for key, own in zip(keys(mirror[body.faces]), keys(body.faces), strict=True)
        if key in label
    )
    assert wrong == 0


def test_every_part_is_there_in_one_piece_or_two(body):
    counts = torch.bincount(body.parts, minlength=len(PARTS))
    assert (counts >= 10).all()
    mesh = trimesh.Trimesh(body.template.numpy(), body.faces.numpy(), process=False)
    for name in ("scalp", "neck", "left_forearm", "right_thigh", "left_foot", "pelvis", "lower_torso", "upper_torso"):
        part = mesh.submesh([np.flatnonzero(body.parts.numpy() == PART_ID[name])], append=True)
        assert len(trimesh.graph.connected_components(part.face_adjacency, nodes=np.arange(len(part.faces)))) <= 2, name


def test_parts_lie_where_their_names_say(body):
    middle = {name: body.template[body.faces[body.parts == PART_ID[name]]].mean((0, 1)) for name in PARTS}
    up = [
        middle[n][1] for n in ("scalp", "left_brow", "left_eye", "lips", "neck", "upper_torso", "lower_torso", "pelvis")
    ]
    assert all(a > b for a, b in itertools.pairwise(up))
    legs = [middle[n][1] for n in ("pelvis", "left_thigh", "left_shin", "left_foot")]
    assert all(a > b for a, b in itertools.pairwise(legs))
    out = [middle[n][0] for n in ("upper_torso", "left_upper_arm", "left_forearm", "left_hand")]
    assert all(a < b for a, b in itertools.pairwise(out))
    assert middle["lips"][2] > middle["scalp"][2] + 0.05
    assert middle["left_eye"][0] > 0 > middle["right_eye"][0]


def test_weights_are_convex_with_at_most_four_joints(body):
    assert (body.weights >= 0).all()
    assert (body.weights.sum(1) - 1).abs().max() < 1e-5
    assert (body.weights > 0).sum(1).max() <= 4


def test_weights_change_gently_from_vertex_to_vertex(body):
    edges = torch.cat((body.faces[:, :2], body.faces[:, 1:]))
    length = (body.template[edges[:, 0]] - body.template[edges[:, 1]]).norm(dim=1)
    step = (body.weights[edges[:, 0]] - body.weights[edges[:, 1]]).abs().sum(1)
    # A whole hand-over from one joint to another sums to 2; within 1.4 cm it would be a visible crease.
    assert (step / length.clamp(min=0.004)).max() < 2 / 0.014


def test_regressor_rows_are_sparse_averages(body):
    assert (body.joint_regressor >= 0).all()
    assert (body.joint_regressor.sum(1) - 1).abs().max() < 1e-5
    assert (body.joint_regressor > 0).sum(1).max() < 400


def test_the_t_pose_is_straight_for_every_shape(body, shapes):
    vertices, joints = shape_body(body, shapes)
    place = {name: joints[:, index] for index, name in enumerate(SMPL_JOINTS)}
    for chain, axis in (
        (("left_shoulder", "left_elbow", "left_wrist", "left_hand"), 0),
        (("left_hip", "left_knee", "left_ankle"), 1),
    ):
        for a, b in itertools.pairwise(chain):
            bone = place[b] - place[a]
            assert (bone.abs().max(1).values / bone.norm(dim=1)).min() > 0.998, (a, b)
            assert (bone.abs().argmax(1) == axis).all()
    foot = place["left_foot"] - place["left_ankle"]
    assert (foot[:, 0].abs() < 0.1 * foot[:, 2]).all()
    assert joints[:, 0].abs().max() < 0.006
    assert ((vertices[:, :, 1].amax(1) - vertices[:, :, 1].amin(1)) > 1.3).all()


def test_joints_lie_inside_the_body(body, shapes):
    vertices, joints = shape_body(body, torch.cat((torch.zeros(1, 16), shapes[:2])))
    for v, j in zip(vertices, joints, strict=True):
        mesh = trimesh.Trimesh(v.numpy(), body.faces.numpy(), process=False)
        assert mesh.contains(j.numpy()).all()


def test_betas_are_standard_and_the_first_ones_mean_size_weight_and_sex():
    lines = beta_descriptions()
    assert len(lines) == 16
    assert lines[0].startswith("height")
    assert lines[1].startswith("weight")
    assert lines[2].startswith("gender")


def test_phenotypes_and_betas_map_to_each_other(body):
    names = phenotype_names()
    middle = phenotypes_from_betas(np.zeros(16))
    for name, up in (("weight", "volume"), ("height", "height")):
        more = middle.copy()
        more[names.index(name)] += 0.3
        betas = betas_from_phenotypes(more)
        there = phenotypes_from_betas(betas)
        assert abs(there[names.index(name)] - more[names.index(name)]) < 0.12
        assert population()[up]["std"] > 0


def test_the_population_is_human():
    people = population()
    assert 1.66 < people["height"]["mean"] < 1.76
    assert 1.40 < people["height"]["p1"] < people["height"]["p99"] < 2.0
    assert 0.55 < people["waist_girth"]["p1"] < 0.65
    assert people["waist_girth"]["p99"] > 1.05
    assert 0.055 < people["volume"]["p50"] < 0.08


def test_masks_mark_lips_and_nails(body):
    masks = surface_masks()
    assert masks.shape == (len(body.template), 6)
    lips = body.template[masks[:, 0] > 0.5]
    assert (lips[:, 0].abs() < 0.04).all()
    assert (body.template[masks[:, 3] > 0.5][:, 0].abs() > 0.7).all()
