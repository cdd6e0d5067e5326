# ruff: noqa: E501  tables read best in long lines
"""The BVH reader against files written by hand, whose joints were placed with pencil and paper, and a table of faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from avatargen.core.errors import BrokenFileError
from motiongen.importers.bvh import Bvh, parse_bvh, read_bvh
from motiongen.kinematics import positions_from_world, world_rotations

ARM = """HIERARCHY
ROOT Base
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Upper Arm
  {
    OFFSET 1 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Fore
    {
      OFFSET 1 0 0
      CHANNELS 1 Yrotation
      End Site
      {
        OFFSET 0.5 0 0
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
0 1 0  0 0 0  0 0 0  0
0 2 3  90 0 0  0 90 0  -90
"""


def places(bvh: Bvh) -> np.ndarray:
    world = world_rotations(bvh.rotations, bvh.parents)
    rest = np.cumsum(bvh.offsets, axis=0)  # a chain: every joint hangs on the one before
    return positions_from_world(world, bvh.translations[:, 0], rest, bvh.parents)


def test_a_hand_written_arm_stands_where_pencil_and_paper_put_it():
    bvh = parse_bvh(ARM)
    assert bvh.names == ("Base", "Upper Arm", "Fore")
    assert bvh.ends == ((2, (0.5, 0.0, 0.0)),)
    assert bvh.frame_time == 0.04
    found = places(bvh)
    np.testing.assert_allclose(found[0], [[0, 1, 0], [1, 1, 0], [2, 1, 0]], atol=1e-12)
    # Base turns x to y. Upper turns about its own x by 90: the fore arm still leaves along base's x, which is up.
    np.testing.assert_allclose(found[1], [[0, 2, 3], [0, 3, 3], [0, 4, 3]], atol=1e-12)
    tip = found[1, 2] + (world_rotations(bvh.rotations, bvh.parents)[1, 2] @ np.array([0.5, 0, 0]))
    # Fore turns -90 about its y: x to z there; z there is -y of base, and y of base is -x of the world.
    np.testing.assert_allclose(tip, [0.5, 4, 3], atol=1e-12)


def test_position_channels_replace_the_offset_also_below_the_root():
    text = ARM.replace("CHANNELS 1 Yrotation", "CHANNELS 2 Xposition Yrotation").replace(
        "0 0 0  0\n", "0 0 0  7 0\n", 1
    )
    bvh = parse_bvh(text.replace("90 0  -90", "90 0  7 -90"))
    np.testing.assert_array_equal(bvh.translations[:, 2], [[7, 0, 0], [7, 0, 0]])
    np.testing.assert_array_equal(bvh.offsets[2], [1, 0, 0])


@given(st.permutations("XYZ"), st.lists(st.floats(-400, 400), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_any_rotation_order_is_the_product_of_its_axes_in_the_order_of_the_file(order, angles):
    channels = " ".join(f"{axis}rotation" for axis in order)
    frame = "0 0 0 " + " ".join(map(repr, angles))
    text = f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition {channels}\n}}\nMOTION\n"
    bvh = parse_bvh(text + f"Frames: 1\nFrame Time: 0.1\n{frame}\n")
    wanted = Rotation.from_euler("".join(order), angles, degrees=True).as_matrix()  # capitals: intrinsic
    np.testing.assert_allclose(bvh.rotations[0, 0], wanted, atol=1e-12)


def test_braces_on_the_same_line_tabs_windows_line_ends_and_lower_case_are_read_alike():
    loose = ARM.replace("\n{", " {").replace("  ", "\t").replace("Zrotation", "ZROTATION").replace("\n", "\r\n")
    np.testing.assert_array_equal(parse_bvh(loose).rotations, parse_bvh(ARM).rotations)
    np.testing.assert_array_equal(parse_bvh("\ufeff" + ARM + "\n\n").rotations, parse_bvh(ARM).rotations)


FAULTS = {
    "empty": ("", r"f:1: not a BVH"),
    "something else": ("ply\nformat ascii", r"f:1: not a BVH"),
    "cut in the hierarchy": (ARM[: ARM.index("JOINT Fore") - 5], r"f:\d+: .*cut off"),
    "cut before MOTION": (ARM[: ARM.index("MOTION")], r"f:\d+: no MOTION"),
    "cut in the frames": (ARM[: ARM.rindex("0 2 3")], r"'Frames:' says 2, the file holds 1.*cut off"),
    "cut in a frame": (ARM[:-5], r"f:25: 9 numbers in this frame, the hierarchy has 10"),
    "one frame too many": (ARM + "0 1 0 0 0 0 0 0 0 0\n", r"says 2, the file holds 3$"),
    "not a number in a frame": (ARM.replace("0 2 3  90", "0 2 3  9o"), r"f:25: could not convert .*'9o'"),
    "NaN": (ARM.replace("0 2 3  90", "0 2 3  nan"), r"f:25: .*NaN"),
    "infinite": (ARM.replace("0 2 3  90", "0 2 3  inf"), r"f:25: .*infinite"),
    "no frames": (ARM.replace("Frames: 2", "Frames: 0"), r"f:22: 'Frames: 0'"),
    "negative frames": (ARM.replace("Frames: 2", "Frames: -3"), r"f:22"),
    "half a frame": (ARM.replace("Frames: 2", "Frames: 1.5"), r"f:22"),
    "no Frames line": (ARM.replace("Frames: 2\n", ""), r"f:22: expected 'Frames:'"),
    "no frame time": (ARM.replace("Frame Time: 0.04\n", ""), r"f:23: expected 'Frame Time:'"),
    "frame time zero": (ARM.replace("Time: 0.04", "Time: 0"), r"f:23: 'Frame Time: 0' is absurd"),
    "frame time NaN": (ARM.replace("Time: 0.04", "Time: nan"), r"f:23: .*absurd"),
    "a million frames a second": (ARM.replace("Time: 0.04", "Time: 1e-6"), r"f:23: .*absurd"),
    "an hour a frame": (ARM.replace("Time: 0.04", "Time: 3600"), r"f:23: .*absurd"),
    "unknown channel": (ARM.replace("1 Yrotation", "1 Wrotation"), r"f:13: unknown channel 'Wrotation'"),
    "too few channels named": (ARM.replace("CHANNELS 1 Y", "CHANNELS 2 Y"), r"f:14: unknown channel 'End'"),
    "no rotation at all": (
        "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xposition\n}\nMOTION\nFrames: 1\nFrame Time: 0.1\n0\n",
        r"no joint has a rotation",
    ),
    "offset is text": (ARM.replace("OFFSET 0 1 0", "OFFSET 0 one 0"), r"f:4: OFFSET: 'one' is not a number"),
    "offset is infinite": (ARM.replace("OFFSET 0 1 0", "OFFSET 0 1e999 0"), r"f:4: OFFSET"),
    "no offset": (ARM.replace("  OFFSET 0 1 0\n", ""), r"joint 'Base' has no OFFSET"),
    "no name": (ARM.replace("Upper Arm", ""), r"f:7: a joint has no name"),
    "two alike": (ARM.replace("JOINT Fore", "JOINT Base"), r"two joints are named 'Base'"),
    "two roots": (ARM.replace("MOTION", "ROOT b\n{\nOFFSET 0 0 0\n}\nMOTION"), r"one ROOT per file"),
    "stray word": (ARM.replace("    OFFSET 1 0 0", "    OFSET 1 0 0"), r"f:8: unexpected 'OFSET' in joint 'Upper Arm'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_is_refused_by_file_and_line(fault):
    text, message = FAULTS[fault]
    with pytest.raises(BrokenFileError, match=message) as caught:
        parse_bvh(text, "f")
    assert str(caught.value).startswith("f:")


def test_no_prefix_of_a_file_crashes_the_reader(tmp_path):
    for end in range(0, len(ARM) - 1, 7):
        with pytest.raises(BrokenFileError):
            parse_bvh(ARM[:end])
    binary = tmp_path / "b.bvh"
    binary.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(BrokenFileError, match=r"b\.bvh"):
        read_bvh(binary)
