"""What Blender makes of our GLB: armature, texture, action, and the same deformed mesh as our own skinning."""

import numpy as np
import pytest

from avatargen.export.gltf import encode_glb
from avatargen.export.surface import split_at_seams

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def imported(blender, rigged_tube, bend):
    return blender(encode_glb(rigged_tube, [bend], name="tube"), ".glb", list(range(0, 21, 2)), "bend")


def test_blender_finds_one_armature_one_mesh_and_the_bones_where_they_were(imported, rigged_tube):
    report, _ = imported
    assert [kind for kind, _ in report["objects"]] == ["ARMATURE", "MESH"]
    assert report["bones"] == {"root": None, "middle": "root", "tip": "middle"}
    for name, joint in zip(rigged_tube.skeleton.names, rigged_tube.skeleton.joints, strict=True):
        x, y, z = report["heads"][name]
        np.testing.assert_allclose([x, z, -y], joint, atol=1e-6)
    assert report["modifiers"] == ["ARMATURE"]
    assert report["groups"] == ["root", "middle", "tip"]


def test_blender_finds_the_texture_inside_the_file_on_the_base_color(imported):
    report, _ = imported
    assert report["base_color_images"] == ["tube_basecolor"]
    image = report["images"][0]
    assert image["size"] == [24, 16]
    assert image["packed"]
    # Blender's first pixel is the lower left one: the blue half, with green set in the first columns.
    np.testing.assert_allclose(image["corner"], [30 / 255, 1.0, 210 / 255], atol=1e-6)


def test_blender_finds_the_action_with_its_length_in_frames(imported):
    report, _ = imported
    assert report["actions"] == {"bend": [0.0, 20.0]}


def test_blenders_evaluated_mesh_and_our_skinning_agree_within_a_hundredth_of_a_millimetre(
    imported, rigged_tube, bend, lbs
):
    _, posed = imported
    source = split_at_seams(rigged_tube.mesh).source
    assert posed.shape == (11, len(source), 3)
    for row, frame in enumerate(range(0, 21, 2)):
        np.testing.assert_allclose(posed[row], lbs(rigged_tube, bend, frame)[source], atol=1e-5)
