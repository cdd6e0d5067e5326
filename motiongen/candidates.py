"""Which poses and which motions fit a text: scored by the guidance, chosen by a stated rule."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.core.progress import Reporter
from avatargen.core.rotations import axis_angle_from_matrix
from avatargen.guidance.model import Guidance
from avatargen.guidance.prompts import check_text
from motiongen.codebook import MotionCodebook, PoseCodebook, text_features
from motiongen.pose_prior import PosePrior

PRE_TOP = 40
DUPLICATE = 0.07
"""Poses whose mean absolute rotation-vector difference is below this (radians) count as one; the original's value."""
_FRAME = re.compile(
    r"^(?:an?|the)?\s*(?:rendered\s+)?(?:3d\s+)?(?:man|woman|person|human|character|avatar|figure|someone|somebody)\s+"
    r"(?:(?:is|are|who\s+is)\s+)?",
    re.IGNORECASE,
)
_SMALL_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "to",
        "of",
        "on",
        "in",
        "at",
        "with",
        "and",
        "or",
        "up",
        "down",
        "his",
        "her",
        "their",
        "its",
        "one",
        "oneself",
        "for",
        "from",
        "as",
        "into",
        "over",
        "it",
        "forward",
        "forwards",
        "ahead",
        "is",
        "are",
        "am",
        "was",
        "were",
        "be",
        "been",
        "being",
        "do",
        "does",
        "did",
        "doing",
    ]
)
"""Words that say nothing of what is done; "being dizzy" is "be dizzy", "doing push-ups" is "do push-ups"."""


def action(text: str) -> str:
    """What is done, without who does it: 'a rendered 3d man is punching' -> 'punching'.

    Raises:
        InputError: the text is empty, too long or holds control characters.
    """
    tidy = check_text(text, "motion text").rstrip(".!")
    return _FRAME.sub("", tidy) or tidy


def texts_of(text: str) -> list[str]:
    """The motions that one text asks for: 'punching; waving' are two, each a clip of its own.

    Raises:
        InputError: nothing stands between two of them, or a text cannot be used.
    """
    return [check_text(part.strip(), "motion text") for part in text.split(";")] if ";" in text else [text]


def prompt_feature(guidance: Guidance, text: str) -> Float[Tensor, "1 d"]:
    """One unit feature for an action: the mean over the bare words and two sentences around them."""
    done = action(text)
    wordings = [done, f"a rendered 3d man is {done}", f"a person is {done}"]
    with torch.no_grad():
        features = guidance.encode_text(wordings)
    return torch.nn.functional.normalize(features.float().mean(0, keepdim=True), dim=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Poses that fit the text, best first."""

    poses: Float[Tensor, "k 21 3 3"]
    scores: Float[Tensor, " k"]


def codebook_candidates(
    text: Float[Tensor, "1 d"],
    codebook: PoseCodebook,
    features: Float[Tensor, "n d"],
    prior: PosePrior,
    count: int,
    pre_top: int = PRE_TOP,
    duplicate: float = DUPLICATE,
) -> Candidates:
    """The best entries by cosine, near-duplicates dropped; the dropped ones fill up where too few are left."""
    scores = (features @ text.T)[:, 0]
    best = scores.topk(min(max(pre_top, count), len(scores))).indices
    with torch.no_grad():
        poses = prior.decode(codebook.latents[best])
    return distinct(poses, scores[best], count, duplicate)


def distinct(
    poses: Float[Tensor, "n 21 3 3"], scores: Float[Tensor, " n"], count: int, duplicate: float = DUPLICATE
) -> Candidates:
    """The first `count` of poses in order of their scores, near-duplicates of better ones only to fill up."""
    vectors = axis_angle_from_matrix(poses).flatten(1)
    kept: list[int] = []
    dropped: list[int] = []
    for row in range(len(poses)):
        near = bool(kept) and bool(((vectors[kept] - vectors[row]).abs().mean(1) <= duplicate).any())
        (dropped if near else kept).append(row)
    chosen = sorted((kept + dropped)[: max(1, count)])
    return Candidates(poses=poses[chosen], scores=scores[chosen])


def stems(text: str) -> frozenset[str]:
    """Words of a text cut to what their forms share: punching, punches, punch -> punch."""
    found = set()
    for raw in re.findall(r"[a-z]+", text.lower()):
        if raw not in _SMALL_WORDS:
            found.add(_stem(raw))
    return frozenset(found)


_IRREGULAR = {
    "ran": "run", "sat": "sit", "lay": "lie", "lying": "lie", "threw": "throw", "swung": "swing", "fought": "fight",
    "stood": "stand", "jogging": "jog", "danced": "dance", "ate": "eat", "drank": "drink", "wept": "cry",
    "bent": "bend", "crept": "creep", "slept": "sleep", "knelt": "kneel", "hit": "hit",
}  # fmt: skip


def _stem(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    word = word[:-1] + "y" if word.endswith("i") and len(word) > 2 else word
    return word.removesuffix("e") if len(word) > 3 else word


def word_scores(text: str, codebook: MotionCodebook) -> Float[Tensor, " w"]:
    """How much of the text's meaning-bearing words each clip's best wording shares, 0..1; rare words count more."""
    asked = stems(action(text))
    wordings = [[stems(line) for line in row] for row in codebook.words]
    total = len(wordings)
    counts = {word: sum(any(word in line for line in row) for row in wordings) for word in asked}
    weight = {word: 1.0 / (1.0 + counts[word] / total * 20.0) if counts[word] else 0.3 for word in asked}
    whole = sum(weight.values()) or 1.0

    def score(line: frozenset[str]) -> float:
        shared = sum(weight[word] for word in asked & line) / whole
        # A wording that says much else besides ("jump and spin kick") fits "kick" less than a plain one.
        return shared * (0.4 + 0.6 * len(asked & line) / max(1, len(line)))

    return torch.tensor([max((score(line) for line in row), default=0.0) for row in wordings])


def phrase_scores(
    guidance: Guidance, text: Float[Tensor, "1 d"], codebook: MotionCodebook, reporter: Reporter
) -> Float[Tensor, " w"]:
    """Cosine between the text and the best wording of each clip."""
    flat = [line for row in codebook.words for line in row]
    unique = tuple(dict.fromkeys(flat))
    cosine = (text_features(guidance, unique, reporter) @ text.T)[:, 0]
    place = {line: index for index, line in enumerate(unique)}
    return torch.stack([cosine[[place[line] for line in row]].max() for row in codebook.words])


def standard(scores: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Scores at mean 0 and deviation 1; all zero where they are all the same."""
    return (scores - scores.mean()) / scores.std(unbiased=False).clamp_min(1e-6)


def rank_motions(scores: Float[Tensor, " n"], clips: Int[Tensor, " n"], count: int, per_clip: int) -> Int[Tensor, " c"]:
    """The best windows, at most `per_clip` from one clip (more where that leaves too few); of equals the first ones."""
    order = scores.argsort(descending=True, stable=True).tolist()
    used: dict[int, int] = {}
    first, rest = [], []
    for index in order:
        clip = int(clips[index])
        (first if used.get(clip, 0) < per_clip else rest).append(index)
        used[clip] = used.get(clip, 0) + 1
    return torch.tensor((first + rest)[:count])


def mixed_scores(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """A weighted sum of scores."""
    return torch.stack([weight * scores for weight, scores in parts]).sum(0)
