"""Bone names of other programs: complete, unlike one another, documented, and understood again by our importer."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from avatargen.body.skeleton import MIXAMO_FROM_SMPL
from avatargen.core.errors import InputError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.export import Content, encode_all
from avatargen.export.skeletons import SKELETONS, bone_names
from motiongen.importers.bvh import parse_bvh
from motiongen.importers.retarget import retarget_bvh

DOCS = Path(__file__).parents[3] / "docs" / "formats.md"


def document(data):
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


@pytest.mark.parametrize("skeleton", SKELETONS[1:])
def test_every_joint_has_a_bone_of_its_own(skeleton):
    bones = bone_names(skeleton).bones
    assert set(bones) == set(SMPL_JOINTS)
    assert len(set(bones.values())) == 24


def test_the_docs_show_the_tables_as_they_are():
    tables = [bone_names(skeleton).bones for skeleton in SKELETONS[1:]]
    lines = DOCS.read_text().splitlines()
    for joint in SMPL_JOINTS:
        assert f"| `{joint}` | {' | '.join(f'`{bones[joint]}`' for bones in tables)} |" in lines


def test_mixamos_names_are_those_of_the_importer():
    assert bone_names("mixamo").bones == MIXAMO_FROM_SMPL


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_a_glb_has_the_names_and_everything_else_as_before(stick, dance, validate, skeleton):
    plain = encode_all(Content(model=stick, motions=(dance,), name="a"), ["glb"])["a.glb"]
    named = encode_all(Content(model=stick, motions=(dance,), name="a", skeleton=skeleton), ["glb"])["a.glb"]
    before, after = document(plain), document(named)
    bones = bone_names(skeleton).bones
    assert [node["name"] for node in after["nodes"][1:]] == [bones.get(joint, joint) for joint in SMPL_JOINTS]
    for node in (*before["nodes"], *after["nodes"]):
        node.pop("name")
    assert before == after
    issues = validate(named)["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_a_bvh_under_any_names_comes_back_as_the_same_motion(stick, dance, skeleton):
    files = encode_all(Content(model=stick, motions=(dance,), name="a", skeleton=skeleton), ["bvh"])
    read = parse_bvh(files["a.bvh"].decode())
    bones = bone_names(skeleton).bones
    if bones:
        assert set(read.names) == set(bones.values())
    back = retarget_bvh(read, joints=stick.skeleton.joints)
    np.testing.assert_allclose(back.rotations, dance.rotations, atol=1e-5)
    np.testing.assert_allclose(back.root_position, dance.root_position, atol=1e-5)


@pytest.mark.blender
def test_an_fbx_for_unreal_has_its_bones_under_an_armature_called_root(blender, stick, dance):
    content = Content(model=stick, motions=(dance,), name="a", skeleton="unreal")
    report, _ = blender(encode_all(content, ["fbx"])["a.fbx"], ".fbx", [0], fps=24)
    assert report["armature"] == "root"
    assert set(report["bones"]) == set(bone_names("unreal").bones.values())
    assert report["bones"]["lowerarm_l"] == "upperarm_l"
    assert [ends for ends in report["actions"].values()] == [[0.0, 23.0]]


def test_an_unknown_skeleton_names_the_known_ones():
    with pytest.raises(InputError, match="smpl, mixamo, vrm, unreal"):
        bone_names("rigify")
