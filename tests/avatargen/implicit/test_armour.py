import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.parts import PART_ID, SMPL_JOINTS
from avatargen.core.settings import ImplicitSettings
from avatargen.implicit.armour import plate_heights, plated, wears_armour
from avatargen.implicit.avatar import build_field
from avatargen.implicit.relief import relief_volume
from avatargen.render.shading import vertex_normals


@pytest.mark.parametrize(
    ("text", "plates"),
    [
        ("a knight", True), ("knights in silver armour", True), ("a samurai", True), ("a man in golden armor", True),
        ("a nurse", False), ("a man in leather armour", False), ("a woman in a red dress", False), ("", False),
    ],
)  # fmt: skip
def test_who_wears_plates(text, plates):
    assert wears_armour(text) == plates


@pytest.fixture(scope="module")
def field():
    body = load_open_body()
    return build_field(body, torch.zeros(body.num_betas), ImplicitSettings(distance_mm=6.0, detail_mm=6.0))


@pytest.fixture(scope="module")
def heights(field):
    """Middles of the body's faces, their parts, and how far plates stand off them."""
    surface = field.body.surface
    normals = vertex_normals(surface.vertices, surface.faces)[surface.faces].mean(1)
    middles = surface.corners.mean(1)
    return middles, field.parts, plate_heights(middles, normals, field.parts, field.joints)


def test_faces_hands_and_bends_stay_free_and_no_plate_is_thicker_than_an_inch(heights):
    _, parts, height = heights
    assert float(height.min()) >= 0.0
    assert 0.020 < float(height.max()) < 0.0254
    for part in ("face", "scalp", "left_eye", "lips"):
        assert float(height[parts == PART_ID[part]].max()) == 0.0
    # Between the greave and the cop at the knee, and between both plates of an upper arm, there is a gap.
    for part in ("left_shin", "left_upper_arm", "left_forearm"):
        mine = height[parts == PART_ID[part]]
        assert float(mine.max()) > 0.010
        assert float((mine < 1e-4).float().mean()) > 0.02
    assert float((height > 0.004).float()[parts == PART_ID["upper_torso"]].mean()) > 0.8


def test_left_is_armed_as_right(heights):
    middles, _, height = heights
    near = torch.cdist(middles[:4000], middles * middles.new_tensor([-1.0, 1.0, 1.0])).min(1)
    alike = (height[:4000] - height[near.indices]).abs()[near.values < 0.002]
    assert len(alike) > 2000
    assert float((alike < 0.002).float().mean()) > 0.95


def test_the_field_grows_by_the_plates_and_where_there_are_none_by_what_is_painted(field):
    surface = field.body.surface
    painted = relief_volume(field.body, torch.full((len(surface.vertices),), 0.003))
    dressed = plated(field.body, field.parts, field.joints, painted)
    hip, knee, ankle = (field.joints[SMPL_JOINTS.index(f"left_{name}")] for name in ("hip", "knee", "ankle"))
    shin = surface.corners.mean(1)[field.parts == PART_ID["left_shin"]]
    along = (shin - knee) @ (ankle - knee) / (ankle - knee).square().sum()
    greave, gap = shin[(along > 0.3) & (along < 0.8)], shin[(along > 0.11) & (along < 0.13)]
    assert float(dressed(greave).min()) > 0.006
    assert float(dressed(gap).median()) == pytest.approx(0.003, abs=0.0015)
    face = surface.corners.mean(1)[field.parts == PART_ID["face"]]
    assert float(dressed(face).median()) == pytest.approx(0.003, abs=1e-4)
    assert float((hip - knee).norm()) > 0.3


def test_the_back_of_the_hand_is_plated_and_fingers_and_palm_are_free(field, heights):
    middles, parts, height = heights
    for side in ("left", "right"):
        wrist, hand = (field.joints[SMPL_JOINTS.index(f"{side}_{name}")] for name in ("wrist", "hand"))
        mine = parts == PART_ID[f"{side}_hand"]
        along = (middles[mine] - wrist) @ (hand - wrist) / (hand - wrist).square().sum()
        plate = height[mine]
        assert float(plate[along > 1.05].max()) == 0.0
        assert 0.006 < float(plate.max()) < 0.011
        assert 0.2 < float((plate[along < 0.9] > 0.004).float().mean()) < 0.6


def test_sabatons_are_thicker_than_the_gaps_between_toes(heights):
    _, parts, height = heights
    assert float((height[parts == PART_ID["left_foot"]] > 0.007).float().mean()) > 0.6
