import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.parts import PART_ID, SMPL_JOINTS
from avatargen.core.settings import ImplicitSettings
from avatargen.implicit.avatar import build_field
from avatargen.implicit.hems import find_hems, hem_heights, worn_colors

BROWN = (0.42, 0.25, 0.13)


@pytest.mark.parametrize(
    ("text", "worn"),
    [
        ("a man in brown boots", {"feet"}), ("a butler with white gloves", {"hands"}), ("a pirate", {"feet"}),
        ("a firefighter", {"feet", "hands"}), ("a man in brown shoes", set()), ("a barefoot man", set()), ("", set()),
        ("a man with brown skin", set()),
    ],
)  # fmt: skip
def test_who_wears_boots_or_gloves(text, worn):
    assert set(worn_colors(text)) == worn


@pytest.fixture(scope="module")
def field():
    body = load_open_body()
    return build_field(body, torch.zeros(body.num_betas), ImplicitSettings(distance_mm=6.0, detail_mm=6.0))


def test_a_hem_is_where_the_paint_ends(field):
    vertices, joints = field.body.surface.vertices, field.joints
    ankle, knee = (joints[SMPL_JOINTS.index(f"left_{name}")] for name in ("ankle", "knee"))
    along = (vertices - ankle) @ (knee - ankle) / (knee - ankle).norm()
    style = torch.where((along < 0.2)[:, None], torch.tensor(BROWN), torch.sigmoid(field.look.logits))
    hems = find_hems({"feet": BROWN}, field.look, style, vertices, field.parts, joints)
    assert [hem.side for hem in hems] == ["left", "right"]
    assert hems[0].top == pytest.approx(0.2, abs=0.011)
    middles = field.body.surface.corners.mean(1)
    height = hem_heights(middles, field.parts, joints, hems)
    way = (middles - ankle) @ (knee - ankle) / (knee - ankle).norm()
    shin = field.parts == PART_ID["left_shin"]
    band = (way > hems[0].top - 0.03) & (way < hems[0].top - 0.005)
    assert torch.equal(height[shin & band], torch.full_like(height[shin & band], 0.0035))
    assert float(height[shin & ((way > hems[0].top + 0.002) | (way < hems[0].top - 0.037))].max()) == 0.0
    assert float(height[~(shin | (field.parts == PART_ID["right_shin"]))].max()) == 0.0


def test_paint_that_goes_on_has_no_hem(field):
    vertices = field.body.surface.vertices
    style = torch.tensor(BROWN).expand(len(vertices), 3)
    assert find_hems({"feet": BROWN, "hands": BROWN}, field.look, style, vertices, field.parts, field.joints) == ()
    bare = torch.sigmoid(field.look.logits)
    assert find_hems({"feet": (0.0, 0.0, 1.0)}, field.look, bare, vertices, field.parts, field.joints) == ()
