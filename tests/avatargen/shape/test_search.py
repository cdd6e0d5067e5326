from dataclasses import replace

import numpy as np
import pytest
import torch

from avatargen.body.open_body import population
from avatargen.core.errors import ConfigError, InputError
from avatargen.core.progress import Silent
from avatargen.core.rng import stream
from avatargen.core.settings import ShapeSettings
from avatargen.shape import search
from avatargen.shape.search import find_shape, intensity, is_neutral
from avatargen.shape.sheet import contact_sheet
from avatargen.shape.vae import load_shape_space

QUICK = ShapeSettings(codebook_size=40, views=1, refine_steps=3, blend=4)


def girth(measures):
    return measures["waist_girth"] + measures["hip_girth"]


@pytest.fixture(scope="module")
def ruler():
    table = population()
    return table["height"], table


def test_each_word_moves_the_body_its_way_and_leaves_the_rest(body, guidance, ruler):
    height, table = ruler
    found = {word: find_shape(word, body, guidance, QUICK, 0).measures for word in ("tall", "short", "fat", "thin")}
    middle = table["waist_girth"]["mean"] + table["hip_girth"]["mean"]
    assert found["tall"]["height"] > height["p75"]
    assert found["short"]["height"] < height["p25"]
    assert girth(found["fat"]) > middle > girth(found["thin"])
    assert found["short"]["height"] < found["fat"]["height"] < found["tall"]["height"]
    assert found["short"]["height"] < found["thin"]["height"] < found["tall"]["height"]


def test_very_goes_further(body, guidance):
    plain, very = (find_shape(t, body, guidance, QUICK, 0).measures["height"] for t in ("tall", "very tall"))
    assert very > plain + 0.02


def test_strength_zero_is_the_average_person(body, guidance):
    shape = find_shape("tall", body, guidance, replace(QUICK, strength=0.0), 0)
    assert np.abs(shape.betas).max() < 0.2


@pytest.mark.parametrize("text", ["a person", "person", "an average human"])
def test_a_text_without_a_shape_is_the_average_person_exactly(body, guidance, text):
    shape = find_shape(text, body, guidance, QUICK, 0)
    assert shape.betas.tolist() == [0.0] * body.num_betas
    assert shape.score is None
    assert shape.candidates == ()
    assert shape.measures["height"] > 1.5


class Notes(Silent):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


def test_words_the_guidance_cannot_see_are_the_average_person_and_the_user_is_told(body, guidance):
    notes = Notes()
    assert find_shape("grumpy", body, guidance, QUICK, 0, notes).betas.tolist() == [0.0] * body.num_betas
    assert notes.lines == ["shape: silhouettes finds no word for a body in 'grumpy'; the average body it is"]
    assert find_shape("a person", body, guidance, QUICK, 0, notes).betas.tolist() == [0.0] * body.num_betas
    assert len(notes.lines) == 1


def test_the_same_seed_gives_the_same_body(body, guidance):
    first, second = (find_shape("tall", body, guidance, QUICK, 3) for _ in range(2))
    assert np.array_equal(first.betas, second.betas)
    assert first.score == second.score


def test_refinement_never_lowers_the_score(body, guidance):
    scores = [find_shape("fat", body, guidance, replace(QUICK, refine_steps=n), 0).score for n in (0, 3, 6)]
    assert min(scores) == scores[0]


def test_the_best_entries_are_blended_by_their_scores():
    latents = torch.randn(20, 4, generator=stream(0, "z"))
    scores = torch.linspace(-1, 1, 20)
    blended = search._blend(latents, scores, 3)
    weights = torch.exp((scores[-3:] - 1.0) / 0.05)
    torch.testing.assert_close(blended, (weights / weights.sum()) @ latents[-3:])
    torch.testing.assert_close(search._blend(latents, scores, 1), latents[-1])
    assert search._blend(latents, scores, 99).isfinite().all()  # more than there are


def test_a_step_that_lowers_the_score_is_not_kept(body, guidance, monkeypatch):
    """What comes back is the best of everything that was tried after the start, never a later, worse one."""
    tried = []
    honest = search._Question.cosines

    def watched(self, changes):
        scores = honest(self, changes)
        tried.append(scores.tolist())
        return scores

    monkeypatch.setattr(search._Question, "cosines", watched)
    shape = find_shape("fat", body, guidance, replace(QUICK, refine_steps=8), 1)
    steps = [rows[0] for rows in tried if len(rows) == 1]
    (starts,) = [rows for rows in tried if 1 < len(rows) < 40]
    assert len(steps) == 8
    assert min(steps) < shape.score  # a worse one was tried, and refused
    assert shape.score in {*steps, *starts}
    assert shape.score >= max(steps)


class Wordings:
    """A stand-in whose features depend on every letter, so that each wording counts."""

    name, version, image_size, licence = "letters", "1", 48, ""

    def __init__(self):
        self.asked = []

    def encode_text(self, texts):
        self.asked += texts
        rows = [torch.tensor([text.count(letter) + 0.1 for letter in "abdeilnoprst"]) for text in texts]
        return torch.nn.functional.normalize(torch.stack(rows), dim=1)

    def encode_image(self, images):
        raise AssertionError("no picture is needed")


def test_several_wordings_are_averaged_before_the_direction_is_taken():
    guidance = Wordings()
    direction = search.text_direction("tall", guidance)
    tall = [text for text in guidance.asked if "tall" in text]
    plain = [text for text in guidance.asked if "tall" not in text]
    assert len(set(tall)) == len(set(plain)) >= 3
    assert [text.replace("a tall person", "a person") for text in tall] == plain
    means = [torch.nn.functional.normalize(guidance.encode_text(lines).mean(0), dim=0) for lines in (tall, plain)]
    torch.testing.assert_close(direction, means[0] - means[1])


def test_the_original_query_takes_the_best_entry_of_the_codebook(body, guidance):
    shape = find_shape("tall", body, guidance, replace(QUICK, query="codebook_only"), 0)
    space = load_shape_space(body)
    entries = space.decode(space.codebook[:40]).numpy()
    assert min(np.abs(entries - shape.betas).max(1)) < 1e-5
    assert shape.score == shape.candidates[0].score
    assert np.array_equal(shape.betas, shape.candidates[0].betas)


def test_runners_up_are_kept_in_order_with_a_sheet(body, guidance):
    shape = find_shape("tall", body, guidance, QUICK, 0)
    scores = [c.score for c in shape.candidates]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert -1 <= scores[-1] <= scores[0] <= 1
    sheet = contact_sheet(shape, body, "tall", size=48)
    assert sheet.shape == (3 * 48 + 8, 6 * 48, 3)
    assert sheet.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": "best"}, "search or codebook_only"),
        ({"views": 0}, "it can be 1 to 4"),
        ({"views": 9}, "it can be 1 to 4"),
        ({"blend": 0}, "at least 1"),
        ({"codebook_size": 0}, "at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(body, guidance, change, words):
    with pytest.raises(ConfigError, match=words):
        find_shape("tall", body, guidance, replace(QUICK, **change), 0)


def test_an_empty_text_is_refused(body, guidance):
    with pytest.raises(InputError, match="the shape text is empty"):
        find_shape("  ", body, guidance, QUICK, 0)


def test_intensity_and_neutral_words():
    assert intensity("tall") == 1.0
    assert intensity("very tall") > 1.0 > intensity("slightly tall")
    assert intensity("tall and fat") == pytest.approx(2**0.5)
    assert is_neutral("an average person")
    assert not is_neutral("a tall person")
    assert not is_neutral("123")


def test_a_body_without_a_trained_space_is_searched_by_its_betas(body, guidance, ruler):
    other = replace(body, kind="smpl")
    shape = find_shape("tall", other, guidance, QUICK, 0)
    assert shape.measures["height"] > ruler[0]["p75"]
    assert shape.body == f"smpl-{body.version}"
    torch.testing.assert_close(torch.tensor(shape.betas).isfinite().all(), torch.tensor(True))
