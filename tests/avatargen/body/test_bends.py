"""How the open body bends: volume, smooth hand-overs, rigid hands and feet, the same on both sides."""

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.open_body import betas_from_phenotypes, load_open_body, mirror_map
from avatargen.body.posing import pose_body, pose_offsets, shape_body
from avatargen.core.parts import PART_ID, SMPL_JOINTS
from avatargen.core.rotations import matrix_from_axis_angle

JOINT = {name: index for index, name in enumerate(SMPL_JOINTS)}
MIRRORED = [JOINT[n.replace("left", "R").replace("right", "left").replace("R", "right")] for n in SMPL_JOINTS]
QUARTER = np.pi / 2
BENDS = {
    "left_elbow": ("left_wrist", (0.0, -QUARTER, 0.0)),
    "right_elbow": ("right_wrist", (0.0, QUARTER, 0.0)),
    "left_knee": ("left_ankle", (QUARTER, 0.0, 0.0)),
    "right_knee": ("right_ankle", (QUARTER, 0.0, 0.0)),
}
"""Joint -> the joint at the end of its bone, and a flexion by 90 degrees."""
PEOPLE = {  # gender, age, muscle, weight, height, proportions
    "average": None,
    "strong man": (0.0, 0.7, 1.0, 0.7, 0.4, 0.5),
    "slight woman": (1.0, 0.7, 0.3, 0.3, 0.4, 0.5),
    "heavy man": (0.0, 0.7, 0.5, 1.6, 0.4, 0.5),
    "old woman": (1.0, 1.0, 0.2, 1.2, 0.3, 0.5),
}


@pytest.fixture(scope="module")
def body():
    return load_open_body()


def betas_of(person):
    traits = PEOPLE[person]
    betas = np.zeros(16) if traits is None else betas_from_phenotypes(np.array(traits))
    return torch.tensor(betas, dtype=torch.float32)[None]


def posed(body, betas, **turns):
    rotations = torch.eye(3).repeat(len(betas), 24, 1, 1)
    for name, turn in turns.items():
        rotations[:, JOINT[name]] = matrix_from_axis_angle(torch.tensor(turn))
    return pose_body(body, betas, rotations).vertices[0].double().numpy()


def capped_volume(vertices, faces):
    """Volume of an open piece whose rims are closed by fans around their middles."""
    ahead = {(a, b) for face in faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)}
    follows = {b: a for a, b in ahead if (b, a) not in ahead}
    total = np.linalg.det(vertices[faces]).sum()
    while follows:
        start, after = follows.popitem()
        rim = [start]
        while after != start:
            rim.append(after)
            after = follows.pop(after)
        ring = vertices[rim]
        total += np.cross(ring, np.roll(ring, -1, 0)).sum(0) @ ring.mean(0)
    return total / 6


def piece(body, betas, joint, end, reach=None):
    """Faces of the limb from the middle of the bone before `joint` to the end of the bone after it.

    With `reach`: from as many metres before the joint to as many after it.
    """
    vertices, joints = (array[0].double().numpy() for array in shape_body(body, betas))
    first, last, before = JOINT[joint], JOINT[end], body.parents[JOINT[joint]]
    bone = joints[last] - joints[first]
    along = (vertices - joints[first]) @ bone / (bone @ bone)
    lower, upper = 0.45 * np.linalg.norm(joints[first] - joints[before]) / np.linalg.norm(bone), 0.95
    if reach:
        lower = upper = reach / np.linalg.norm(bone)
    limb = body.weights[:, [before, first, last]].sum(1).numpy() > 0.5
    inside = limb & (along > -lower) & (along < upper)
    faces = body.faces.numpy()
    chosen = faces[inside[faces].all(1)]
    pieces = trimesh.Trimesh(vertices, chosen, process=False)
    groups = trimesh.graph.connected_components(pieces.face_adjacency, nodes=np.arange(len(chosen)), min_len=1)
    return chosen[max(groups, key=len)]


def test_a_capped_tube_has_its_volume():
    tube = trimesh.creation.cylinder(radius=0.1, height=1.0, sections=512)
    side = tube.faces[np.abs(tube.face_normals[:, 2]) < 0.5]
    assert capped_volume(tube.vertices, side) == pytest.approx(np.pi * 0.01, rel=1e-3)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("joint", BENDS)
def test_a_right_angle_keeps_the_limbs_volume(body, person, joint):
    end, turn = BENDS[joint]
    betas = betas_of(person)
    faces = piece(body, betas, joint, end)
    rest = capped_volume(posed(body, betas), faces)
    assert rest > 5e-4  # half a litre at least: this is the limb
    change = capped_volume(posed(body, betas, **{joint: turn}), faces) / rest - 1
    assert -0.15 < change < 0.15
    assert change < 0.02  # nothing swells either


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("joint", BENDS)
def test_a_right_angle_keeps_the_volume_of_the_joint_itself(body, person, joint):
    """Within 8 cm, where linear blending alone loses 14 to 22 % at elbows and 22 to 30 % at knees."""
    end, turn = BENDS[joint]
    betas = betas_of(person)
    faces = piece(body, betas, joint, end, reach=0.08)
    rest = capped_volume(posed(body, betas), faces)
    assert rest > 3e-4
    assert -0.15 < capped_volume(posed(body, betas, **{joint: turn}), faces) / rest - 1 < 0.02


def spread(faces, offsets, vertices):
    """The largest change of an offset along an edge, metres per metre."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    length = (vertices[edges[:, 0]] - vertices[edges[:, 1]]).norm(dim=1).clamp(min=0.002)
    return float(((offsets[edges[:, 0]] - offsets[edges[:, 1]]).norm(dim=1) / length).max())


def test_correctives_are_zero_at_rest_and_smooth_in_random_poses(body):
    """No spikes: with every joint turned by 30 degrees at random, offsets stay small, and neighbours' alike."""
    still = torch.eye(3).repeat(1, 24, 1, 1)
    assert pose_offsets(body, still).abs().max() == 0
    turns = 0.3 * torch.randn(40, 24, 3, generator=torch.Generator().manual_seed(5))
    offsets = pose_offsets(body, matrix_from_axis_angle(turns))
    assert offsets.norm(dim=-1).max() < 0.06
    assert max(spread(body.faces, row, body.template) for row in offsets) < 2.0


def test_faces_hands_and_feet_have_no_correctives(body):
    moved = torch.zeros(len(body.template), dtype=torch.bool)
    moved[body.pose_vertices] = True
    for name in ("face", "left_eye", "right_eye", "left_hand", "right_hand", "left_foot", "right_foot"):
        own = body.faces[body.parts == PART_ID[name]].unique()
        assert moved[own].float().mean() < 0.12, name


@pytest.mark.parametrize("joint", BENDS)
def test_a_bend_turns_no_face_inside_out_but_in_the_crease(body, joint):
    """Outside the crease, the angle between neighbouring faces stays open."""
    _, turn = BENDS[joint]
    betas = betas_of("average")
    meshes = [
        trimesh.Trimesh(vertices, body.faces.numpy(), process=False)
        for vertices in (posed(body, betas), posed(body, betas, **{joint: turn}))
    ]
    folded = [np.cos(mesh.face_adjacency_angles) < -0.5 for mesh in meshes]
    new = np.flatnonzero(folded[1] & ~folded[0])
    assert len(new) <= 12


def test_weights_hand_over_smoothly_along_each_limb(body):
    """Averaged over slices of a limb, the weight of the far joint never falls by more than a percent on the way out."""
    _, joints = shape_body(body, betas_of("average"))
    for joint, (end, _) in BENDS.items():
        first, last, before = JOINT[joint], JOINT[end], body.parents[JOINT[joint]]
        start, stop = joints[0, before], joints[0, last]
        along = (body.template - start) @ (stop - start) / (stop - start).square().sum()
        limb = body.weights[:, [before, first, last]].sum(1) > 0.9
        beyond = body.weights[:, [first, last]].sum(1)
        slices = [
            float(beyond[limb & (along > t) & (along <= t + 0.04)].mean()) for t in np.arange(0.16, 0.92, 0.04).tolist()
        ]
        steps = np.diff(slices)
        assert steps.min() > -0.01, joint
        assert steps.max() < 0.45, joint
        assert slices[0] < 0.05
        assert slices[-1] > 0.95


def off_rigid_mm(body, name, turn):
    """How far each vertex is from where the turning joint alone would carry it, in millimetres."""
    rotations = torch.eye(3).repeat(1, 24, 1, 1)
    rotations[0, JOINT[name]] = matrix_from_axis_angle(torch.tensor(turn))
    out = pose_body(body, torch.zeros(1, 16), rotations)
    carried = out.transforms[0, JOINT[name]]
    return 1000 * (out.vertices[0] - body.template @ carried[:3, :3].T - carried[:3, 3]).norm(dim=1)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("joint", "part", "turn"), [("wrist", "hand", (0.0, 0.3, 0.9)), ("ankle", "foot", (0.5, 0.2, 0.0))]
)
def test_hands_and_feet_are_rigid_when_wrist_and_ankle_turn_by_fifty_degrees(body, side, joint, part, turn):
    off = off_rigid_mm(body, f"{side}_{joint}", turn)
    off = off[body.faces[body.parts == PART_ID[f"{side}_{part}"]].unique()]
    assert (off < 0.001).float().mean() > 0.88
    assert off.mean() < 0.5
    assert off.quantile(0.95) < 3.0


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("joint", "axis", "turn"), [("hand", 0, (0.0, 0.0, -1.0)), ("foot", 2, (-0.5, 0.0, 0.0))])
def test_fingers_and_toes_are_rigid_past_their_joint(body, side, joint, axis, turn):
    """All but the thumb, which stays with the palm."""
    off = off_rigid_mm(body, f"{side}_{joint}", turn)
    place = (body.joint_regressor @ body.template)[JOINT[f"{side}_{joint}"]]
    past = (body.template[:, axis].abs() > place[axis].abs() + 0.03) & (body.template[:, 0] * place[0] > 0)
    thumb = body.weights[:, JOINT[f"{side}_wrist"]] > 0.5 if joint == "hand" else torch.zeros_like(past)
    limb = body.weights[:, [JOINT[f"{side}_{joint}"], body.parents[JOINT[f"{side}_{joint}"]]]].sum(1) > 0.5
    chosen = past & limb & ~thumb
    assert chosen.sum() > 200
    assert off[chosen].max() < 1.0


def test_mirrored_poses_give_mirrored_bodies(body):
    """Left and right are the same body to a micrometre, in any pose and shape."""
    draw = torch.Generator().manual_seed(0)
    turns = 0.5 * torch.randn(4, 24, 3, generator=draw)
    betas = torch.randn(4, 16, generator=draw)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    other = turns[:, MIRRORED] * torch.tensor([1.0, -1.0, -1.0])
    here, there = (pose_body(body, betas, matrix_from_axis_angle(t)).vertices for t in (turns, other))
    mirror = torch.from_numpy(mirror_map())
    assert (there[:, mirror] * flip - here).norm(dim=-1).max() < 1e-6
