import pytest

from avatargen.guidance.embedded.reader import read
from avatargen.shape.words import plain_words


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("not very tall", "slightly short"),
        ("a man who is not fat", "a man who is slightly thin"),
        ("wide-shouldered", "broad shoulders"),
        ("a long-legged woman", "a woman with long legs"),
        ("a broad-shouldered, long-legged man", "a man with broad shoulders and long legs"),
        ("a lanky guy", "a tall and skinny guy"),
        ("built like a tank", "strong and heavy"),
        ("a Stout little fellow", "a stout little man"),
    ],
)
def test_what_a_lexicon_misses_is_said_plainly(text, plain):
    assert plain_words(text) == plain


@pytest.mark.parametrize("text", ["Tall", "a strong man", "short and chubby", "nothing", "a ladder", "knotty"])
def test_what_is_plain_already_stays_as_it_is(text):
    assert plain_words(text) == text


def test_saying_it_again_changes_nothing():
    for text in ("not very tall", "a long-legged woman", "built like a tank", "a burly lumberjack"):
        assert plain_words(plain_words(text)) == plain_words(text)


@pytest.mark.parametrize(
    ("text", "trait", "sign"),
    [
        ("not very tall", "height", -1),
        ("a man who is not fat", "girth", -1),
        ("wide-shouldered", "shoulders", 1),
        ("lanky", "height", 1),
        ("lanky", "girth", -1),
        ("burly", "muscle", 1),
        ("a stout little fellow", "gender", -1),
        ("a svelte octogenarian", "age", 1),
        ("paunchy", "girth", 1),
        ("pint-sized", "height", -1),
        ("a viking", "muscle", 1),
    ],
)
def test_the_embedded_reader_understands_what_comes_out(text, trait, sign):
    assert read(plain_words(text)).traits[trait] * sign > 0
