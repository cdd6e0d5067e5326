import pytest
import torch

from avatargen.core.errors import InputError
from avatargen.core.rotations import axis_angle_from_matrix
from motiongen.candidates import (
    action,
    codebook_candidates,
    prompt_feature,
    rank_motions,
    standard,
    stems,
    word_scores,
)
from motiongen.codebook import MotionCodebook, PoseCodebook, load_motion_codebook


@pytest.mark.parametrize(
    "text",
    ["punching", "a rendered 3d man is punching", "A person is punching.", "someone punching", "the man is punching"],
)
def test_who_does_it_does_not_matter(text):
    assert action(text) == "punching"


def test_words_of_the_same_verb_share_a_stem():
    assert stems("punching") == stems("throws the punches") - {"throw"} == stems("punch")
    assert stems("running") == stems("he runs") - {"he"} == stems("ran")
    assert stems("waving") == stems("wave") == stems("waves")
    assert stems("sitting") == stems("sit")
    assert stems("kicking") == stems("kicked")


def test_helping_verbs_say_nothing():
    assert stems("being dizzy") == stems("be dizzy") == stems("is dizzy")
    assert stems("doing push-ups") == stems("do push-ups")


@pytest.mark.parametrize("text", ["", "  ", "x" * 10_000, "a\x00b"])
def test_unusable_texts_are_refused(text):
    with pytest.raises(InputError, match="motion text"):
        action(text)


@pytest.fixture
def book(models):
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(12, 64, generator=generator), dim=1)
    return models.poses, features


@pytest.mark.parametrize("count", [1, 5, 12, 40])
def test_k_is_free_and_never_crashes(models, book, count):
    poses, features = book
    found = codebook_candidates(features[:1], poses, features, models.prior, count)
    assert len(found.poses) == min(count, 12)
    assert bool((found.scores.diff() <= 0).all())


def test_identical_poses_count_as_one_until_too_few_are_left(models):
    latents = torch.cat((torch.zeros(9, 32), 3 * torch.randn(3, 32, generator=torch.Generator().manual_seed(1))))
    book = PoseCodebook(latents=latents, version="x")
    features = torch.eye(12)
    text = torch.nn.functional.normalize(torch.linspace(1.0, 0.1, 12)[None], dim=1)
    # In the tiny prior different latents give nearly the same pose: a tight threshold keeps them apart.
    few = codebook_candidates(text, book, features, models.prior, 4, duplicate=1e-6)
    vectors = axis_angle_from_matrix(few.poses).flatten(1)
    assert bool((torch.pdist(vectors) > 0).all())
    many = codebook_candidates(text, book, features, models.prior, 6, duplicate=1e-6)
    assert len(many.poses) == 6
    assert bool((many.scores.diff() <= 0).all())


def test_candidates_are_the_best_by_cosine(models, book):
    poses, features = book
    found = codebook_candidates(features[3:4], poses, features, models.prior, 3, duplicate=0.0)
    torch.testing.assert_close(found.scores, (features @ features[3]).topk(3).values)


def test_a_plain_wording_beats_one_that_says_more():
    words = (("wave the arms angrily",), ("wave hello", "wave"), ("walk",))
    book = MotionCodebook(latents=torch.zeros(3, 4), clip=torch.arange(3), words=words, version="x")
    scores = word_scores("a person is waving", book)
    assert scores.argsort(descending=True).tolist() == [1, 0, 2]
    assert float(scores[1]) == pytest.approx(1.0)
    assert float(scores[2]) == 0.0


@pytest.mark.parametrize(
    ("text", "word"),
    [("punching", "punch"), ("kicking", "kick"), ("walking", "walk"), ("dancing", "danc"), ("jumping", "jump")],
)
def test_shared_words_find_the_right_shipped_clips(text, word):
    book = load_motion_codebook()
    best = word_scores(text, book).topk(5).indices.tolist()
    assert all(any(word in stems(line) for line in book.words[index]) for index in best)


def test_words_that_mean_the_same_find_the_same_clips():
    book = load_motion_codebook()

    def called(text: str) -> set[int]:
        return set((word_scores(text, book) > 0.999).nonzero()[:, 0].tolist())

    plain = called("punching")
    assert called("a rendered 3d man is punching") == plain
    assert len(called("throws a punch") & plain) >= 4


def test_windows_of_one_clip_do_not_crowd_out_the_rest():
    scores = torch.tensor([9.0, 8.0, 7.0, 6.0, 5.0])
    clips = torch.tensor([0, 0, 0, 1, 2])
    assert rank_motions(scores, clips, 3, 1).tolist() == [0, 3, 4]
    assert rank_motions(scores, clips, 5, 1).tolist() == [0, 3, 4, 1, 2]
    assert len(rank_motions(scores, clips, 50, 1)) == 5


def test_equal_scores_stay_equal():
    assert standard(torch.full((4,), 0.3)).tolist() == [0.0] * 4


def test_the_prompts_feature_is_the_mean_over_wordings(guidance):
    texts = ["punching", "a rendered 3d man is punching", "a person is punching"]
    mean = torch.nn.functional.normalize(guidance.encode_text(texts).mean(0, keepdim=True), dim=1)
    torch.testing.assert_close(prompt_feature(guidance, "a man is punching"), mean)
