"""What hangs free of the body: read from words, cut to the figure, colored and moved as cloth would be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.parts import PARTS, SMPL_JOINTS
from avatargen.core.settings import ImplicitSettings
from avatargen.core.values import Mesh
from avatargen.implicit import shapes
from avatargen.implicit.avatar import build_field
from avatargen.implicit.tailor import dress
from avatargen.implicit.worn import pieces_of, tight_text, with_trousers
from avatargen.mesh.clean import component_count, decimate, is_closed
from avatargen.mesh.extract import extract_surface
from avatargen.mesh.rig import rig_to_body


def found(text, **how):
    return {piece.kind: piece for piece in pieces_of(text, **how)}


@pytest.mark.parametrize(
    ("text", "styles"),
    [
        ("a wizard", {"skirt": "robe", "sleeves": "wide", "hat": "pointed", "hair": "short"}),
        ("a knight in silver armour", {"hat": "closed helmet"}),
        ("a woman in a red dress", {"skirt": "dress", "hair": "short"}),
        ("a superhero with a red cape, bald", {"cape": "cape"}),
        ("a man with a long grey beard and a top hat", {"beard": "full", "hat": "top", "hair": "short"}),
        ("a woman with black hair in two buns", {"hair": "buns"}),
        ("a boy with spiky yellow hair in a red t-shirt", {"hair": "spiky"}),
        ("a marble statue", {}),
        ("a bald man in a yellow jumpsuit", {}),
        ("a person in a brown leather jacket and a white shirt, bald", {}),
    ],
)
def test_words_name_pieces(text, styles):
    assert {kind: piece.style for kind, piece in found(text).items()} == styles


def test_lengths_and_colors_are_bound_to_their_noun():
    both = found("a woman with long pink hair in a short black skirt with a blue cape")
    assert both["hair"].length > 0.5
    assert both["skirt"].length < 0.4
    assert both["hair"].color[0] > 0.8 > both["hair"].color[1]
    assert max(both["skirt"].color) < 0.2
    assert both["cape"].color[2] > 2 * both["cape"].color[0]


def test_the_longer_dress_is_longer():
    lengths = [found(f"a woman in a {word}")["skirt"].length for word in ("miniskirt", "skirt", "dress", "long dress")]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_usual_hair_can_be_left_out():
    assert found("a man in a red shirt")["hair"].style == "short"
    assert "hair" not in found("a man in a red shirt", usual_hair=False)


def test_simple_solids_have_exact_distances():
    draws = np.random.default_rng(0)
    points = draws.normal(size=(500, 3))
    ball = shapes.capsules(points, np.zeros((2, 3)), np.array([0.4, 0.4]))
    np.testing.assert_allclose(ball, np.linalg.norm(points, axis=1) - 0.4, atol=1e-12)
    circle = shapes.ellipse(points[:, 0], points[:, 2], 0.7, 0.7)
    np.testing.assert_allclose(circle, np.hypot(points[:, 0], points[:, 2]) - 0.7, atol=1e-9)
    soft = shapes.soft_join(ball, circle, 0.1)
    assert (soft <= np.minimum(ball, circle) + 1e-12).all()
    assert (soft >= np.minimum(ball, circle) - 0.025 - 1e-12).all()


@pytest.fixture(scope="module")
def body():
    return load_open_body()


@pytest.fixture(scope="module")
def field(body):
    settings = replace(ImplicitSettings(), distance_mm=8.0, detail_mm=4.0, color_levels_mm=(48.0,))
    return build_field(body, torch.zeros(body.num_betas), settings, sculpted=False)


def worn(field, text):
    surface = field.body.surface
    outfit = dress(text, surface.vertices, surface.faces, field.parts, field.joints)
    return replace(field, outfit=outfit)


def vertices_of(field, *parts):
    wanted = torch.tensor([PARTS.index(name) for name in parts])
    return field.body.surface.vertices[field.body.surface.faces[torch.isin(field.parts, wanted)].unique()]


@pytest.fixture(scope="module")
def wizard(field):
    return worn(field, "a wizard with a long grey beard in a purple robe with a red pointed hat")


def test_a_robe_holds_the_legs_and_ends_above_the_feet(wizard):
    robe = next(one for one in wizard.outfit.sewn if one.piece.kind == "skirt")
    legs = vertices_of(wizard, "left_thigh", "right_thigh", "left_shin", "right_shin")
    low, high = robe.volume.grid.bounds[:, 1]
    covered = legs[(legs[:, 1] > low + 0.30) & (legs[:, 1] < high - 0.05)]
    assert len(covered) > 500
    assert float(robe(covered).max()) < 0.0
    assert float(robe(vertices_of(wizard, "left_foot", "right_foot")).min()) > -0.01


def test_a_skirt_grows_out_of_the_waist_without_a_step(field):
    dressed = worn(field, "a bald woman in a red dress")
    waist = float(dressed.joints[SMPL_JOINTS.index("spine1"), 1])
    heights = torch.arange(waist - 0.06, waist + 0.10, 0.002)
    around = torch.arange(0.0, 2 * np.pi, 0.4)
    reach = torch.arange(0.26, 0.01, -0.001)
    way = torch.stack([around.sin(), torch.zeros_like(around), around.cos()], dim=-1)
    axis = torch.tensor([0.0, 1.0, 0.0]) * heights[:, None] + dressed.joints[0] * torch.tensor([1.0, 0.0, 1.0])
    points = axis[:, None, None] + reach[:, None] * way[:, None]
    inside = dressed.sdf(points.reshape(-1, 3)).view(points.shape[:-1]) < 0
    outline = reach[inside.int().argmax(2)]
    assert float(outline.diff(dim=0).abs().max()) < 0.005


@pytest.mark.parametrize(
    "text",
    ["a man in a " + hat for hat in ("pointed hat", "top hat", "cowboy hat", "helmet", "crown", "beret", "turban")]
    + ["a knight in armour", "an astronaut", "a firefighter", "a woman in a hijab", "a chef", "a man in a cap"]
    + [f"a woman with {hair}" for hair in ("long hair", "an afro", "curly hair", "spiky hair", "a ponytail", "braids")],
)
def test_nothing_on_the_head_covers_the_eyes_or_sinks_into_the_chest(field, text):
    dressed = worn(field, text)
    eyes, mouth = vertices_of(field, "left_eye", "right_eye"), vertices_of(field, "lips")
    # A closed helmet has slits for the eyes alone.
    seen = eyes if "knight" in text else torch.cat([eyes, mouth])
    looking = seen + torch.tensor([0.0, 0.0, 0.012])
    for one in dressed.outfit.sewn:
        assert bool(one.volume.values.isfinite().all())
        assert float(one(looking).min()) > 0.0, one.piece
        top = one.volume.grid.bounds[1, 1]
        assert float(top) > float(eyes[:, 1].max()) or one.piece.kind not in ("hat", "hair")


def test_a_cape_hangs_behind(field):
    cape = worn(field, "a superhero with a red cape, bald").outfit.sewn[0]
    inside = cape.volume.grid.nodes(torch.nonzero(cape.volume.values[:, 0] < 0).squeeze(1))
    low = inside[inside[:, 1] < field.joints[SMPL_JOINTS.index("spine1"), 1]]
    back = field.body.surface.vertices[:, 2].min()
    assert float(low[:, 2].max()) < float(field.joints[0, 2])
    assert float(low[:, 2].min()) > float(back) - 0.35


def test_the_field_is_the_union_and_wears_the_pieces_colors(wizard, field):
    draws = torch.Generator().manual_seed(0)
    low, high = wizard.bounds
    points = low + (high - low) * torch.rand(4000, 3, generator=draws)
    whole = torch.minimum(field.distance(points), wizard.outfit.distance(points)[0])
    assert torch.equal(wizard.distance(points), whole)
    hat = next(one for one in wizard.outfit.sewn if one.piece.kind == "hat")
    nodes = hat.volume.grid.nodes(torch.nonzero(hat.volume.values[:, 0].abs() < 0.004).squeeze(1))
    tip = nodes[nodes[:, 1] > nodes[:, 1].max() - 0.1]
    torch.testing.assert_close(wizard.color(tip), torch.tensor(hat.piece.color).expand(len(tip), 3), atol=1e-5, rtol=0)


def test_beyond_its_grid_a_piece_is_as_far_as_it_is(wizard):
    for one in wizard.outfit.sewn:
        low, high = one.volume.grid.bounds
        far = torch.stack([low - 0.5, high + 0.5])
        inside = torch.minimum(torch.maximum(far, low), high)
        assert (one(far) >= (far - inside).norm(dim=-1)).all()


def test_weights_sum_to_one_and_hats_follow_the_head_alone(wizard):
    outfit = wizard.outfit
    points = outfit.places.double().numpy()
    which = outfit.distance(outfit.places)[1].numpy()
    weights = outfit.weights(points, which)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-12)
    assert weights.min() >= 0
    hat = which == [one.piece.kind for one in outfit.sewn].index("hat")
    np.testing.assert_array_equal(weights[hat, SMPL_JOINTS.index("head")], 1.0)


def test_a_dressed_figure_is_one_closed_mesh_whose_hat_stays_stiff(wizard, body):
    start = Mesh(vertices=wizard.body.surface.vertices.numpy(), faces=wizard.body.surface.faces.numpy())
    beyond = wizard.outfit.places.numpy()
    raw = extract_surface(wizard.sdf, wizard.bounds.numpy(), 0.012, start, beyond=beyond)
    np.testing.assert_allclose(raw.vertices[:, 1].max(), extract_surface(
        wizard.sdf, wizard.bounds.numpy(), 0.012).vertices[:, 1].max(), atol=1e-6)  # fmt: skip
    small = decimate(raw, 6000)
    assert is_closed(small)
    assert component_count(small) == 1
    assert small.vertices[:, 1].max() > start.vertices[:, 1].max() + 0.15

    def moves(points):
        share, which = wizard.worn(torch.from_numpy(points).float())
        return wizard.outfit.weights(points, which.numpy()), share.numpy().astype(np.float64)

    rigged = rig_to_body(small, body, torch.zeros(body.num_betas), a_pose(), calm=True, worn=moves)
    np.testing.assert_allclose(rigged.weights.sum(1), 1.0, atol=1e-9)
    assert ((rigged.weights > 0).sum(1) <= 4).all()
    rotations = torch.eye(3).repeat(24, 1, 1)
    turn = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    rotations[SMPL_JOINTS.index("head")] = turn
    posed = pose_rigged(rigged, rotations[None].numpy())[0]
    tip = rigged.mesh.vertices[:, 1] > rigged.mesh.vertices[:, 1].max() - 0.15
    rest, moved = rigged.mesh.vertices[tip], posed[tip]
    between = np.linalg.norm(rest[:, None] - rest[None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(moved[:, None] - moved[None], axis=-1), between, atol=1e-4)
    head = rigged.skeleton.joints[SMPL_JOINTS.index("head")]
    np.testing.assert_allclose(moved - head, (rest - head) @ turn.numpy().T, atol=1e-4)
    hem = posed[:, 1] < posed[:, 1].min() + 0.4
    np.testing.assert_allclose(posed[hem], rigged.mesh.vertices[hem], atol=1e-4)


def test_bodies_without_parts_wear_nothing(field):
    surface = field.body.surface
    assert dress("a wizard", surface.vertices, surface.faces, None, field.joints) is None
    assert dress("a marble statue", surface.vertices, surface.faces, field.parts, field.joints) is None


@pytest.mark.parametrize(
    ("text", "tight"),
    [
        ("a bald man in a yellow suit, red gloves and a white cape", "a bald man in a yellow suit, red gloves"),
        ("a superhero in a blue suit with a red cape and a gold belt", "a superhero in a blue suit and a gold belt"),
        ("a man in a robe with a purple pointed hat and black shoes", "a man in a robe and black shoes"),
        ("a man in black shoes and a tall black top hat", "a man in black shoes"),
        ("a girl with long pink hair and a black t-shirt", "a girl and a black t-shirt"),
        ("a man with a grey beard in a suit", "a man in a suit"),
        ("a woman in a red dress", "a woman in a red dress"),
        ("a witch", "a witch with brown hair"),
        ("a wizard with a long grey beard", "a wizard with grey hair"),
        ("a bald wizard", "a bald wizard"),
        ("a knight in silver armour", "a knight in silver armour"),
    ],
)
def test_the_skin_is_painted_without_capes_hats_and_hair(text, tight):
    assert tight_text(text) == tight
    assert tight_text(tight) == tight


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("a man in a green jacket and brown boots", True),
        ("a girl with long pink hair and a black t-shirt", True),
        ("a person in a red shirt and blue trousers", False),
        ("a woman in a red dress", False),
        ("a woman in a white blouse and a black skirt", False),
        ("a swimmer in a blue swimsuit", False),
        ("a bare-legged man in a red shirt", False),
        ("a green alien", False),
        ("a knight in silver armour", False),
        ("a boxer with red gloves and black shorts", False),
        ("a bald man", False),
    ],
)
def test_nobody_is_left_without_trousers_by_a_jacket(text, added):
    assert with_trousers(text) == (f"{text} and grey trousers" if added else text)
    assert with_trousers(with_trousers(text)) == with_trousers(text)
