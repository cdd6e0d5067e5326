"""VRM 1.0: the Khronos validator, and the rules of the specification, written here a second time.

The rules: https://github.com/vrm-c/vrm-specification/tree/master/specification/VRMC_vrm-1.0 (meta.md, humanoid.md,
tpose.md).
"""

import json
import struct

import numpy as np
import pytest

from avatargen.core.errors import InputError
from avatargen.export import Content, encode_all
from avatargen.export.vrm import encode_vrm

# Each bone with its parent, and whether it must be there.
TREE = {
    "hips": ("", True),
    "spine": ("hips", True),
    "chest": ("spine", False),
    "upperChest": ("chest", False),
    "neck": ("upperChest", False),
    "head": ("neck", True),
    **{f"{s}UpperLeg": ("hips", True) for s in ("left", "right")},
    **{f"{s}LowerLeg": (f"{s}UpperLeg", True) for s in ("left", "right")},
    **{f"{s}Foot": (f"{s}LowerLeg", True) for s in ("left", "right")},
    **{f"{s}Toes": (f"{s}Foot", False) for s in ("left", "right")},
    **{f"{s}Shoulder": ("upperChest", False) for s in ("left", "right")},
    **{f"{s}UpperArm": (f"{s}Shoulder", True) for s in ("left", "right")},
    **{f"{s}LowerArm": (f"{s}UpperArm", True) for s in ("left", "right")},
    **{f"{s}Hand": (f"{s}LowerArm", True) for s in ("left", "right")},
}
CHOICES = {
    "avatarPermission": {"onlyAuthor", "onlySeparatelyLicensedPerson", "everyone"},
    "commercialUsage": {"personalNonProfit", "personalProfit", "corporation"},
    "creditNotation": {"required", "unnecessary"},
    "modification": {"prohibited", "allowModification", "allowModificationRedistribution"},
}
FLAGS = {
    "allowExcessivelyViolentUsage",
    "allowExcessivelySexualUsage",
    "allowPoliticalOrReligiousUsage",
    "allowAntisocialOrHateUsage",
    "allowRedistribution",
}
TEXTS = {"name", "version", "copyrightInformation", "contactInformation", "thirdPartyLicenses", "licenseUrl"}


FINGERS = [
    f"{finger}{part}"
    for finger, parts in {
        "Thumb": ("Metacarpal", "Proximal", "Distal"),
        **{finger: ("Proximal", "Intermediate", "Distal") for finger in ("Index", "Middle", "Ring", "Little")},
    }.items()
    for part in parts
]
ALL_BONES = {*TREE, "leftEye", "rightEye", "jaw", *(f"{side}{bone}" for side in ("left", "right") for bone in FINGERS)}
"""The 55 names that the schema knows."""
EXTENSION_KEYS = {"specVersion", "meta", "humanoid", "firstPerson", "expressions", "lookAt", "extensions", "extras"}


def check_schema(document):
    """Keys, types and required fields of VRMC_vrm, .meta, .humanoid and .humanoid.humanBones, from the public schemas.

    The schemas themselves are not here: their repository names no licence. These are their rules in our own words.
    """
    assert "VRMC_vrm" in document["extensionsUsed"]
    extension = document["extensions"]["VRMC_vrm"]
    assert {"specVersion", "meta", "humanoid"} <= set(extension) <= EXTENSION_KEYS
    assert extension["specVersion"] == "1.0"
    assert isinstance(extension["meta"], dict)
    check_meta(extension["meta"])
    assert set(extension["humanoid"]) == {"humanBones"}
    assert len(ALL_BONES) == 55
    bones = extension["humanoid"]["humanBones"]
    assert {name for name, (_, required) in TREE.items() if required} <= set(bones) <= ALL_BONES
    for bone in bones.values():
        assert set(bone) == {"node"}
        assert type(bone["node"]) is int
        assert 0 <= bone["node"] < len(document["nodes"])
    references = extension["meta"].get("references", [])
    assert isinstance(references, list)
    assert all(isinstance(text, str) for text in references)


def parsed(data):
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


def check_meta(meta):
    assert {"name", "authors", "licenseUrl"} <= set(meta)
    assert set(meta) <= set(CHOICES) | FLAGS | TEXTS | {"authors", "references", "otherLicenseUrl"}
    assert meta["licenseUrl"] == "https://vrm.dev/licenses/1.0/"
    assert meta["authors"]
    assert all(isinstance(author, str) and author for author in meta["authors"])
    for field in set(meta) & TEXTS:
        assert isinstance(meta[field], str)
        assert meta[field]
    for field in set(meta) & set(CHOICES):
        assert meta[field] in CHOICES[field]
    for field in set(meta) & FLAGS:
        assert isinstance(meta[field], bool)


def check_humanoid(document):
    bones = {name: bone["node"] for name, bone in document["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"].items()}
    nodes = document["nodes"]
    above = {child: index for index, node in enumerate(nodes) for child in node.get("children", [])}
    assert {name for name, (_, required) in TREE.items() if required} <= set(bones) <= set(TREE)
    assert len(set(bones.values())) == len(bones)
    for name, node in bones.items():
        assert all(part > 0 for part in nodes[node].get("scale", [1, 1, 1]))
        wanted = TREE[name][0]
        while wanted and wanted not in bones:
            wanted = TREE[wanted][0]
        parent = above.get(node)
        while parent is not None and parent not in bones.values():
            parent = above.get(parent)
        assert parent == bones.get(wanted)
    return bones


@pytest.fixture(scope="module")
def data(stick):
    return encode_vrm(stick, name="hero", author="A. Maker", copyright="2026 A. Maker", licence="CC0-1.0 body")


def test_the_validator_finds_nothing_wrong_with_the_gltf_beneath(data, validate):
    issues = validate(data)["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


def test_meta_and_bones_keep_the_rules_of_the_specification(data):
    document = parsed(data)
    assert document["extensionsUsed"] == ["VRMC_vrm"]
    extension = document["extensions"]["VRMC_vrm"]
    assert extension["specVersion"] == "1.0"
    check_schema(document)
    assert len(check_humanoid(document)) == 22
    assert extension["meta"]["authors"] == ["A. Maker"]
    assert extension["meta"]["copyrightInformation"] == "2026 A. Maker"
    assert extension["meta"]["thirdPartyLicenses"] == "CC0-1.0 body"


def test_the_rest_pose_is_the_t_pose_facing_forward(data):
    document = parsed(data)
    bones = check_humanoid(document)
    place = {}

    def walk(node, base):
        place[node] = base + np.array(document["nodes"][node].get("translation", [0, 0, 0]))
        for child in document["nodes"][node].get("children", []):
            walk(child, place[node])

    walk(bones["hips"], np.zeros(3))
    assert all("rotation" not in node for node in document["nodes"])
    for side, sign in (("left", 1), ("right", -1)):
        for low, high in (("UpperArm", "LowerArm"), ("LowerArm", "Hand")):
            bone = place[bones[side + high]] - place[bones[side + low]]
            assert sign * bone[0] > 0.99 * np.linalg.norm(bone)
        leg = place[bones[f"{side}Foot"]] - place[bones[f"{side}UpperLeg"]]
        assert leg[1] < -0.99 * np.linalg.norm(leg)
        assert (place[bones[f"{side}Toes"]] - place[bones[f"{side}Foot"]])[2] > 0.05


def test_without_a_word_from_the_maker_everything_is_at_its_strictest(stick):
    meta = parsed(encode_vrm(stick))["extensions"]["VRMC_vrm"]["meta"]
    check_meta(meta)
    assert not any(meta[flag] for flag in FLAGS)
    assert meta["avatarPermission"] == "onlyAuthor"
    assert (meta["commercialUsage"], meta["modification"]) == ("personalNonProfit", "prohibited")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("specVersion",), "0.0"),
        (("meta", "authors"), []),
        (("meta", "licenseUrl"), None),
        (("meta", "commercialUsage"), "corporate"),
        (("meta", "allowRedistribution"), "true"),
        (("meta", "title"), "hero"),
        (("humanoid", "humanBones", "hips"), None),
        (("humanoid", "humanBones", "tail"), {"node": 1}),
        (("humanoid", "humanBones", "head", "node"), 1.5),
        (("humanoid", "humanBones", "head", "node"), 99),
        (("expression",), {}),
    ],
)
def test_the_check_itself_notices_every_kind_of_breach(data, path, value):
    document = parsed(data)
    check_schema(document)
    place = document["extensions"]["VRMC_vrm"]
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(AssertionError):
        check_schema(document)


def test_licence_fields_can_be_changed_and_wrong_ones_are_told(stick):
    wishes = {"commercialUsage": "corporation", "allowRedistribution": "True", "contactInformation": "me@example.org"}
    meta = parsed(encode_vrm(stick, meta=wishes))["extensions"]["VRMC_vrm"]["meta"]
    check_meta(meta)
    assert (meta["commercialUsage"], meta["allowRedistribution"]) == ("corporation", True)
    with pytest.raises(InputError, match="commercialUsage cannot be 'yes'"):
        encode_vrm(stick, meta={"commercialUsage": "yes"})
    with pytest.raises(InputError, match="no licence field 'license'"):
        encode_vrm(stick, meta={"license": "CC0"})


def test_a_body_without_humanoid_bones_and_motions_stay_out(stick, dance, rigged_tube):
    with pytest.raises(InputError, match="SMPL's joints"):
        encode_vrm(rigged_tube)
    files = encode_all(Content(model=stick, motions=(dance,), name="hero"), ["vrm"])
    assert "animations" not in parsed(files["hero.vrm"])
