"""Stripes, squares, plaid and dots: what the words say, and what is laid on a man of simple shapes."""

import math
from dataclasses import replace

import pytest
import torch
import trimesh

from avatargen.core.parts import PART_ID, SMPL_JOINTS
from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.guidance.embedded.reader import read
from avatargen.implicit.crisp import Canvas
from avatargen.implicit.pattern_words import without_patterns
from avatargen.implicit.patterns import lay, patterned
from avatargen.mesh.texture import repaint, unfold

SKIN, RED, WHITE = torch.tensor([0.9, 0.75, 0.62]), torch.tensor([216.0, 20, 20]) / 255, torch.tensor([246.0] * 3) / 255
RADIUS = 0.15


@pytest.mark.parametrize(
    ("text", "plain", "kind", "garment", "colors"),
    [
        ("a man in a red and white striped shirt", "a man in a red shirt", "stripes", "shirt", ["red", "white"]),
        ("a striped black and white shirt", "a black shirt", "stripes", "shirt", ["black", "white"]),
        ("a striped shirt in red and blue", "a red shirt", "stripes", "shirt", ["red", "blue"]),
        ("a boy in a striped red shirt", "a boy in a red shirt", "stripes", "shirt", ["red", "white"]),
        ("a red dress with white polka dots", "a red dress", "dots", "dress", ["red", "white"]),
        ("a Polka-dot dress", "a red dress", "dots", "dress", ["red", "white"]),
        ("black trousers with white stripes, a hat", "black trousers, a hat", "sides", "trousers", ["black", "white"]),
        ("a vertically striped red and yellow jersey", "a red jersey", "upright", "jersey", ["red", "yellow"]),
        ("black and white checkered trousers", "black trousers", "squares", "trousers", ["black", "white"]),
        ("a green and brown camouflage jacket", "a camouflage jacket", "blotches", "jacket", ["camouflage"]),
        ("a man in camouflage with boots", "a man in a camouflage uniform with boots", "blotches", "uniform", []),
        ("a man in grey camouflage trousers", "a man in grey trousers", "blotches", "trousers", ["grey"]),
    ],
)  # fmt: skip
def test_words_name_a_pattern_and_what_is_plain_beneath(text, plain, kind, garment, colors):
    said, (pattern,) = without_patterns(text)
    assert (said, pattern.kind, pattern.garment) == (plain, kind, garment)
    wanted = [torch.tensor(read(f"a {name} shirt").colors["chest"][0][0][0]) / 255 for name in colors]
    for got, color in zip((pattern.base, *pattern.over), wanted, strict=False):
        torch.testing.assert_close(torch.tensor(got), color)


def test_only_a_plaid_without_a_second_color_is_darker_than_its_cloth():
    _, (pattern,) = without_patterns("a green checked shirt")
    assert pattern.kind == "plaid"
    assert sum(pattern.over[0]) < 0.6 * sum(pattern.base)


@pytest.mark.parametrize(
    "text",
    [
        "a man in a red shirt and blue trousers", "a knight", "", "an orange cat with black stripes",
        "a blue suit with red and white stripes on the belly", "a yellow and brown coat with yellow stripes",
        "a chess player checking the board", "a man with a checkered past", "a striped cat", "camouflage",
    ],
)  # fmt: skip
def test_other_words_stay_as_they_are(text):
    assert without_patterns(text) == (text, ())


def test_two_patterns_keep_to_their_own_slots():
    said, (socks, shirt) = without_patterns("red and white striped socks and a blue polka dot shirt")
    assert said == "red socks and a blue shirt"
    assert {socks.garment, shirt.garment} == {"socks", "shirt"}
    assert not socks.slots & shirt.slots


def figure():
    """A trunk (a red shirt from -0.3 to 0.3, skin beyond) as a canvas of a cylinder, and where its joints are."""
    tube = trimesh.creation.cylinder(radius=RADIUS, height=1.2, sections=48)
    tube = tube.subdivide_to_size(0.03)
    # From the z axis to the y axis.
    vertices = torch.tensor(tube.vertices, dtype=torch.float32)[:, [1, 2, 0]]
    mesh = Mesh(vertices=vertices.numpy(), faces=tube.faces.astype("int64"))
    mesh = unfold(mesh, MeshSettings(texture_size=1024))
    faces = torch.tensor(mesh.faces)
    joints = torch.zeros(24, 3)
    for name, place in {"neck": (0, 0.6, 0), "left_shoulder": (0.2, 0.5, 0), "left_elbow": (0.4, 0.4, 0),
                        "left_wrist": (0.6, 0.3, 0), "left_hip": (0.1, -0.6, 0), "left_knee": (0.1, -1.0, 0),
                        "left_ankle": (0.1, -1.4, 0)}.items():  # fmt: skip
        joints[SMPL_JOINTS.index(name)] = torch.tensor(place)
        if name != "neck":
            joints[SMPL_JOINTS.index(f"right_{name[5:]}")] = torch.tensor(place) * torch.tensor([-1.0, 1.0, 1.0])

    def paint(face, bary):
        height = (vertices[faces[face]] * bary[..., None]).sum(1)[:, 1]
        return torch.where((height.abs() < 0.3)[:, None], RED, SKIN)

    mesh = repaint(mesh, paint, 1024)
    parts = torch.where(vertices[:, 1].abs() < 0.35, PART_ID["upper_torso"], PART_ID["neck"])
    canvas = Canvas(
        vertices=vertices,
        faces=faces,
        uvs=torch.tensor(mesh.uvs),
        uv_faces=torch.tensor(mesh.uv_faces),
        texture=torch.tensor(mesh.texture).float() / 255,
        look=SKIN.expand(len(vertices), 3),
        parts=parts,
    )
    return canvas, joints


@pytest.fixture(scope="module")
def dressed():
    return figure()


def laid(dressed, text, hung=None):
    """Places all over the figure, and their colors before and after."""
    canvas, joints = dressed
    draws = torch.Generator().manual_seed(0)
    a, b, c = canvas.vertices[canvas.faces].unbind(1)
    face = torch.multinomial(torch.linalg.cross(b - a, c - a).norm(dim=-1), 60_000, replacement=True, generator=draws)
    bary = torch.rand(len(face), 3, generator=draws).clamp_min(1e-6).log()
    bary = bary / bary.sum(1, keepdim=True)
    cut = [lay(one, canvas, joints, hung or {}) for one in without_patterns(text)[1]]
    after = patterned(canvas, [one for one in cut if one is not None])(face, bary)
    return canvas.spread(canvas.vertices, face, bary), canvas.texture_at(face, bary), after


def sides(points):
    """Without the lids of the cylinder."""
    return points[:, 1].abs() < 0.29


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a red and white striped shirt", 0.5), ("a red shirt with white stripes", 0.25),
        ("a red and white vertically striped shirt", 0.5), ("a red and white checkered shirt", 0.5),
        ("a red, white and blue striped shirt", 1 / 3),
    ],
)  # fmt: skip
def test_both_colors_have_their_share_and_nothing_else_changes(dressed, text, share):
    points, before, after = laid(dressed, text)
    shirt = sides(points)
    found = after[shirt]
    assert float(((found - WHITE).norm(dim=-1) < 0.05).float().mean()) == pytest.approx(share, abs=0.04)
    assert float(((found - RED).norm(dim=-1) < 0.05).float().mean()) > min(share, 1 - share) - 0.06
    outside = points[:, 1].abs() > 0.303
    assert torch.equal(after[outside], before[outside])


def test_stripes_are_three_centimetres_wide_and_lie_level(dressed):
    points, _, after = laid(dressed, "a red and white striped shirt")
    white = ((after - WHITE).norm(dim=-1) < 0.05) & sides(points)
    offset = (points[white, 1] - 0.6 + 0.03) % 0.06 - 0.03
    assert float(offset.abs().max()) < 0.016
    assert float(offset.abs().quantile(0.99)) == pytest.approx(0.015, abs=0.001)


def test_upright_stripes_close_behind(dressed):
    """Around the cylinder there is a whole number of them, all of a width."""
    points, _, after = laid(dressed, "a red and white vertically striped shirt")
    behind = sides(points) & (points[:, 2] < -0.9 * RADIUS)
    white = (after - WHITE).norm(dim=-1) < 0.05
    count = round(2 * math.pi * RADIUS / 0.06)
    angle = torch.atan2(points[:, 0], points[:, 2]) * count / (2 * math.pi)
    inside = ((angle + 0.5) % 1.0 - 0.5).abs() < 0.2
    assert float(white[behind & inside].float().mean()) > 0.97


def test_dots_are_round_and_of_one_size(dressed):
    points, _, after = laid(dressed, "a red shirt with white polka dots")
    canvas, joints = dressed
    dots = lay(without_patterns("a red shirt with white polka dots")[1][0], canvas, joints, {})
    white = ((after - WHITE).norm(dim=-1) < 0.05) & sides(points)
    off = torch.cdist(points[white], dots.seeds).amin(1)
    assert float(off.max()) < 0.016
    assert 0.10 < float(white[sides(points)].float().mean()) < 0.30
    apart = torch.cdist(dots.seeds, dots.seeds).fill_diagonal_(1.0).amin(1)
    assert float(apart.min()) > 0.05


def test_a_cape_over_the_shirt_is_not_striped(dressed):
    cape = dressed[0].vertices[:, 2] < 0
    points, before, after = laid(dressed, "a red and white striped shirt", {"cape": cape})
    assert torch.equal(after[points[:, 2] < -0.05], before[points[:, 2] < -0.05])
    assert not torch.equal(after[points[:, 2] > 0.05], before[points[:, 2] > 0.05])


def test_where_no_such_color_is_worn_nothing_is_laid(dressed):
    canvas, joints = dressed
    assert lay(without_patterns("a green and white striped shirt")[1][0], canvas, joints, {}) is None
    assert lay(without_patterns("a red and white striped shirt")[1][0], replace(canvas, parts=None), joints, {}) is None


def test_the_same_text_gives_the_same_paint(dressed):
    first, second = (laid(dressed, "a red shirt with white polka dots")[2] for _ in range(2))
    assert torch.equal(first, second)


def test_outfits_bring_their_patterns_along_unless_the_text_says_otherwise():
    said, (plaid,) = without_patterns("a lumberjack")
    assert said == "a lumberjack in a red shirt"
    assert (plaid.kind, plaid.garment) == ("plaid", "shirt")
    assert {"chest", "forearms"} <= plaid.slots
    said, (stripes,) = without_patterns("an old mime")
    assert (said, stripes.kind, stripes.base) == (
        "an old mime in a black shirt",
        "stripes",
        (16 / 255,) * 2 + (18 / 255,),
    )
    for plain in ("a lumberjack in a green shirt", "a knight"):
        assert without_patterns(plain) == (plain, ())
    _, (dots,) = without_patterns("a lumberjack in a yellow shirt with blue polka dots")
    assert dots.kind == "dots"
