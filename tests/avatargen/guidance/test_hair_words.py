"""Color words before hair, beards and skin, haircuts and people of the same name, and what counts as the code."""

import shutil
from pathlib import Path

import pytest

from avatargen.guidance.embedded import lexicon, model
from avatargen.guidance.embedded.phrases import shaded
from avatargen.guidance.embedded.reader import read
from avatargen.implicit.worn import pieces_of

COLORS, HAIR, SKIN = lexicon.COLORS, lexicon.HAIR_COLORS, lexicon.SKIN_TONES


def asked(text: str, slot: str = "hair") -> lexicon.Rgb | None:
    """The one color that `text` asks for in `slot`."""
    colors = read(text).colors
    return colors[slot][0][0][0] if slot in colors else None


@pytest.mark.parametrize("name", sorted(HAIR))
def test_hair_and_beards_have_the_colors_that_grow(name: str):
    red, green, blue = HAIR[name]
    assert red >= green >= blue  # from black over brown and ginger to white: never a signal color
    assert asked(f"a woman with long {name} hair") == HAIR[name]
    assert asked(f"a man with a {name} beard", "beard") == HAIR[name]
    assert asked(f"a {name}-haired woman in a blue dress") == HAIR[name]
    assert asked(f"a {name} hat") != HAIR[name]


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("a woman with bright red hair", shaded(COLORS["red"], "bright")),
        ("a woman with neon red hair", shaded(COLORS["red"], "neon")),
        ("a woman with dyed red hair", COLORS["red"]),
        ("a woman with hair dyed red", COLORS["red"]),
        ("a punk with a red mohawk", COLORS["red"]),
        *((f"a woman with {name} hair", COLORS[name]) for name in ("pink", "blue", "green", "purple")),
        *((f"a woman with {name} hair", COLORS[name]) for name in ("ginger", "auburn", "silver")),
        ("a woman with strawberry blonde hair", COLORS["strawberry blond"]),
        ("a strawberry blonde woman", COLORS["strawberry blond"]),
        ("a blond man", COLORS["blond"]),
        ("a woman with long fair hair", COLORS["fair"]),
        ("a woman with hair that is black", HAIR["black"]),
        ("a woman with a short black bob", HAIR["black"]),
        ("a judge in a white wig", COLORS["white"]),
        ("a red-hooded man", None),
    ],
)  # fmt: skip
def test_dyed_hair_and_what_is_no_hair_keep_the_plain_color(text: str, color: lexicon.Rgb | None):
    assert asked(text) == color
    assert not read(text).action


def test_hair_of_two_colors_keeps_both():
    (paint, _) = read("a woman with black and white hair").colors["hair"]
    assert [color for color, _ in paint] == [COLORS["black"], COLORS["white"]]


@pytest.mark.parametrize(
    ("text", "beard"),
    [
        ("a man with black hair and a beard", HAIR["black"]),
        ("a blond man with a beard", COLORS["blond"]),
        ("a man with red hair and a grey beard", HAIR["grey"]),
        ("a man with a beard", COLORS["chestnut"]),
    ],
)
def test_a_beard_is_as_the_hair_unless_it_is_said_to_be_another(text: str, beard: lexicon.Rgb):
    assert asked(text, "beard") == beard


def test_a_white_beard_dresses_nobody_in_white():
    wizard, bearded = read("a wizard"), read("a white-bearded wizard")
    assert bearded.colors["beard"][0][0][0] == HAIR["white"]
    assert {s: p for s, p in bearded.colors.items() if s != "beard"} == dict(wizard.colors)


def test_hair_in_one_word_leaves_the_build_alone():
    assert read("a short red-haired woman").traits["height"] < 0
    assert "height" not in read("a woman with short red hair").traits


@pytest.mark.parametrize(
    ("words", "tone"),
    [("dark", "dark"), ("pale", "pale"), ("tanned", "tanned"), ("olive", "olive"), ("dark brown", "dark brown"),
     ("light brown", "light brown")],
)  # fmt: skip
def test_skin_has_the_tone_that_the_words_name(words: str, tone: str):
    assert asked(f"a man with {words} skin", "face") == SKIN[tone]
    assert asked(f"a man with {words} skin", "thighs") is None


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        *(("a woman with a bob", True), ("a woman with a black bob and a hat", True)),
        *(("a short bob cut, a red dress", True), ("Bob the builder", False), ("Bob Marley", False)),
        *(("a man called Bob", False), ("tall Bob in a red shirt", False), ("a Bob Marley fan", False)),
    ],
)  # fmt: skip
def test_a_bob_is_a_haircut_and_bob_is_a_name(text: str, cut: bool):
    hair = [piece for piece in pieces_of(text, usual_hair=False) if piece.kind == "hair"]
    assert [round(piece.length, 2) for piece in hair] == ([0.22] if cut else [])


def test_a_name_does_not_take_the_build_away():
    assert read("tall Bob in a red shirt").traits["height"] > 0


def test_a_cowl_is_a_hood():
    assert read("a man in a brown cowl") == read("a man in a brown hood")
    assert [(p.kind, p.style) for p in pieces_of("a man in a brown cowl")] == [("hat", "hood")]


def test_hair_in_one_word_has_its_shape():
    hair = {piece.kind: piece for piece in pieces_of("a long-haired man in a red shirt")}["hair"]
    assert hair.length > 0.5
    kinds = {piece.kind: piece.color for piece in pieces_of("a white-bearded wizard")}
    assert kinds["beard"] == pytest.approx([value / 255 for value in HAIR["white"]])


def test_every_file_of_the_reader_counts_for_the_version(monkeypatch, tmp_path):
    folder = Path(model.__file__).parent
    copied = shutil.copytree(folder, tmp_path / "embedded", ignore=shutil.ignore_patterns("data", "__pycache__"))
    monkeypatch.setattr(model, "__file__", str(copied / "model.py"))
    version = model._code_version.__wrapped__
    assert version() == model._code_version()
    for path in sorted(copied.rglob("*.py")):
        before = version()
        path.write_text(path.read_text() + "\n")
        assert version() != before, path.name
