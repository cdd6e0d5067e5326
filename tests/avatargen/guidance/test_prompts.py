import pytest

from avatargen.core.errors import InputError
from avatargen.guidance.prompts import STYLES, VIEWS, check_text, person_phrase, style_for, with_build, wordings


def test_every_style_words_every_view_with_the_text_inside():
    for style in STYLES:
        assert set(STYLES[style]) == set(VIEWS)
        for view in VIEWS:
            for line in wordings("a green hulk", view, style):
                assert "a green hulk" in line


def test_the_original_template_is_kept_word_for_word():
    assert wordings("Iron Man", "body", "original") == ("a 3D rendering of Iron Man in unreal engine",)
    assert wordings("Iron Man", "face", "original") == ("a 3D rendering of the face of Iron Man in unreal engine",)
    assert wordings("Iron Man", "back", "original") == ("a 3D rendering of the back of Iron Man in unreal engine",)


def test_the_embedded_model_reads_plain_words():
    assert style_for("embedded") == "plain"
    assert style_for("clip:ViT-B/32") == "render"
    assert wordings("a man", "body", "plain", textureless=True) == ("an untextured sculpture of a man",)


def test_curly_braces_in_a_text_are_harmless():
    assert wordings("a {weird} man", "body", "plain") == ("a (weird) man",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \t\n ", "is empty"),
        ("x" * 10_000, "10,000 characters"),
        ("a\x07b", r"U\+0007 at position 2"),
        ("a\ud800", r"U\+D800"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_with_a_reason(text, words):
    with pytest.raises(InputError, match=words):
        check_text(text)


def test_line_breaks_and_tabs_become_spaces():
    assert check_text("  a tall\n\tman ") == "a tall man"


def test_unknown_views_and_styles_name_the_known_ones():
    with pytest.raises(InputError, match="body, back, face"):
        wordings("a man", "left ear")
    with pytest.raises(InputError, match="render, plain"):
        wordings("a man", "body", "baroque")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("tall", "a tall person"),
        ("very tall", "a very tall person"),
        ("obese", "an obese person"),
        ("tall and skinny", "a tall and skinny person"),
        ("broad shoulders", "a person with broad shoulders"),
        ("with long legs", "a person with long legs"),
        ("a bodybuilder", "a bodybuilder"),
        ("an old man", "an old man"),
        ("old woman", "an old woman"),
        ("a strong man.", "a strong man"),
    ],
)
def test_a_description_becomes_a_noun_phrase(text, phrase):
    assert person_phrase(text) == phrase


@pytest.mark.parametrize(
    ("shape", "build", "both"),
    [
        ("tall", "man", "tall man"),
        (None, "old woman", "old woman"),
        ("long legs", "man", "man with long legs"),
        ("a tall person", "old", "a tall person, old"),
        ("tall", "", "tall"),
        (None, "", None),
    ],
)
def test_a_shape_text_and_words_for_a_build_make_one_text(shape, build, both):
    assert with_build(shape, build) == both
