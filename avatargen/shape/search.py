"""Text to coarse body: which change of the body changes its pictures the way the text changes the words?

The direction score is AvatarCLIP's (Hong et al. 2022, section 3.1): the cosine between the change of the image
feature (this body against the average one) and the change of the text feature (the text against "a person"), here
over several views and wordings. How far to go along the direction is decided apart: a cosine cannot tell.
"""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.measure import measure
from avatargen.body.model import BodyModel
from avatargen.core.errors import ConfigError
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.rng import stream
from avatargen.core.settings import ShapeSettings
from avatargen.core.values import Shape
from avatargen.guidance.losses import mean_features, unit
from avatargen.guidance.model import Guidance
from avatargen.guidance.prompts import check_text, person_phrase, style_for, wordings
from avatargen.shape.codebook import codebook_features, image_features, linear_space
from avatargen.shape.query import AZIMUTHS_DEG
from avatargen.shape.vae import ShapeSpace, load_shape_space
from avatargen.shape.words import plain_words

QUERIES = ("search", "codebook_only")
NEUTRAL = "a person"
RUNNERS_UP = 5

_RADIUS = 1.7
"""How far a plain word goes, in standard deviations of the population: 1.7 is the 95th percentile of one trait."""
_FARTHEST = 3.2
_ADVERBS = (
    (r"\b(very|extremely|super|really|incredibly|huge(ly)?|enormous(ly)?|massive(ly)?|gigantic|giant|tiny)\b", 1.35),
    (r"\b(obese|sumo|bodybuilder)\b", 1.35),
    (r"\b(slightly|somewhat|a bit|a little|fairly|rather|quite|chubby|slim|athletic)\b", 0.7),
)
_NEUTRAL_WORDS = frozenset(("a", "an", "the", "average", "normal", "ordinary", "person", "human", "body", "somebody"))
_PURITY = 0.6
"""Cosine that a start may lack against another that changes nothing toward the text."""
_RIDGES = (0.3, 1.0, 3.0, 30.0)
"""Of the linear answers: little ridge disentangles (a tall woman), much follows what is most visible (muscles)."""
_VOCABULARY = (
    "tall", "short", "fat", "thin", "obese", "skinny", "muscular", "weak", "strong", "athletic", "heavy", "a man",
    "a woman", "an old person", "a young person", "a child", "broad shoulders", "narrow shoulders", "long legs",
    "short legs", "wide hips", "narrow hips", "a big belly", "a slim waist", "a large head", "a small head",
)  # fmt: skip
"""Words for bodies: what none of them touches in feature space is no shape, and changes there are noise."""
_SILENT = 1e-4
"""Change of the text feature below which a text says nothing about a body."""
_DAMPING = 0.02
"""Ridge of the linear model, as a share of its mean eigenvalue."""


@dataclass(frozen=True, eq=False)
class _Question:
    """Everything a body is scored by."""

    body: BodyModel
    space: ShapeSpace
    guidance: Guidance
    views: int
    direction: Float[Tensor, " k"]
    """Unit change of the text feature, in `axes`."""
    neutral: Float[Tensor, "views d"]
    """What the average body looks like."""
    axes: Float[Tensor, "k d"] | None
    """Where changes are compared; None is all of feature space."""

    def against_average(self, features: Float[Tensor, "b views d"]) -> Float[Tensor, "b views k"]:
        """Change of the pictures against those of the average body."""
        change = features - self.neutral
        return change if self.axes is None else change @ self.axes.T

    def changes(self, latents: Float[Tensor, "b z"]) -> Float[Tensor, "b views k"]:
        """The same for bodies that are rendered now."""
        seen = image_features(self.body, self.space.decode(latents), self.guidance, self.views)
        return self.against_average(seen)

    def cosines(self, changes: Float[Tensor, "b views k"]) -> Float[Tensor, " b"]:
        """Direction score, averaged over the views; -1..1."""
        return (unit(changes) @ self.direction).mean(1)


def text_direction(text: str, guidance: Guidance) -> Float[Tensor, " d"]:
    """Change of the text feature from "a person" to `text`, averaged over the wordings; not normalised."""
    asked = mean_features(guidance.encode_text(_lines(person_phrase(text), guidance)))
    plain = mean_features(guidance.encode_text(_lines(NEUTRAL, guidance)))
    return (asked - plain)[0]


def _lines(phrase: str, guidance: Guidance) -> tuple[str, ...]:
    """Wordings of pictures of a plain mannequin. One without colors is enough for a reader that goes by grammar."""
    style = style_for(guidance.name)
    bare = wordings(phrase, "body", style, textureless=True)
    return bare if style == "plain" else tuple(dict.fromkeys((*wordings(phrase, "body", style), *bare)))


def word_axes(direction: Float[Tensor, " d"], guidance: Guidance) -> Float[Tensor, "k d"]:
    """Orthonormal axes of the differences that words for bodies make, and of `direction` itself.

    A reader's features are blocks of their own for build, color and pose, and the vocabulary spans the one for build:
    there `direction` adds nothing but what is no shape.
    """
    words = [text_direction(word, guidance) for word in _VOCABULARY]
    if style_for(guidance.name) == "plain":
        rows = unit(torch.stack(words))
    else:
        rows = torch.stack([direction, *words])
        rows = torch.cat([unit(direction)[None], unit(rows - rows.mean(0))])
    _, sizes, axes = torch.linalg.svd(rows, full_matrices=False)
    return axes[sizes > 0.1 * sizes[0]]


def intensity(text: str) -> float:
    """How far to go: 1 for a plain word, more for "very", less for "slightly"; grows with joined descriptions."""
    lower = text.lower()
    factor = 1.0
    for pattern, share in _ADVERBS:
        if re.search(pattern, lower):
            factor *= share
    joined = 1 + len(re.findall(r"\band\b|,|\bwith\b", lower))
    return factor * min(joined, 3) ** 0.5


def is_neutral(text: str) -> bool:
    """Whether the text names no shape at all."""
    words = re.findall(r"[a-z]+", text.lower())
    return bool(words) and all(word in _NEUTRAL_WORDS for word in words)


def find_shape(
    text: str,
    body: BodyModel,
    guidance: Guidance,
    settings: ShapeSettings,
    seed: int,
    reporter: Reporter | None = None,
) -> Shape:
    """The body that fits a description best, with the runners-up of the codebook and its measures.

    `settings.query = "codebook_only"` takes the one best entry, as the original does; "search" follows the
    direction that a linear model of the codebook's pictures finds, and refines it by rendering.

    Raises:
        InputError: the text cannot be used.
        ConfigError: no such query, or too many views.
    """
    reporter = reporter or Silent()
    text = check_text(text, "shape text")
    _check(settings)
    if style_for(guidance.name) == "plain" and plain_words(text) != text:
        text = plain_words(text)
        reporter.note(f"shape: read as {text!r}")
    name = f"{body.kind}-{body.version}"
    average = torch.zeros(1, body.num_betas, device=body.template.device)
    direction = text_direction(text, guidance)
    axes = None if settings.query == "codebook_only" else word_axes(direction, guidance)
    aim = direction if axes is None else axes @ direction
    silent = not is_neutral(text) and float(aim.norm()) < _SILENT
    if silent:
        reporter.note(f"shape: {guidance.name} finds no word for a body in {text!r}; the average body it is")
    if silent or is_neutral(text):
        return _shape(average[0], body, name, None, ())
    space = load_shape_space(body) or linear_space(body)
    features = codebook_features(space, guidance, settings.codebook_size, settings.views, reporter)
    with torch.no_grad():
        neutral = image_features(body, average, guidance, settings.views)[0]
        question = _Question(body, space, guidance, settings.views, unit(aim), neutral, axes)
        latents, changes = space.codebook[: len(features)], question.against_average(features.to(neutral))
        scores = _entry_scores(question, changes, settings.query)
        order = scores.argsort(descending=True)[:RUNNERS_UP]
        entries = tuple(
            _shape(space.decode(latents[i, None])[0], body, name, float(scores[i]), ()) for i in order.tolist()
        )
        if settings.query == "codebook_only":
            best, score = latents[order[0]], float(scores[order[0]])
        else:
            radius = min(_FARTHEST, _RADIUS * intensity(text)) * settings.strength
            best, score = _search(question, latents, changes, scores, radius, settings, seed, reporter)
        return _shape(space.decode(best[None])[0], body, name, score, entries)


def _check(settings: ShapeSettings) -> None:
    if settings.query not in QUERIES:
        raise ConfigError(f"shape.query is {settings.query!r}; it can be {' or '.join(QUERIES)}")
    if not 1 <= settings.views <= len(AZIMUTHS_DEG):
        raise ConfigError(f"shape.views is {settings.views}; it can be 1 to {len(AZIMUTHS_DEG)}")
    if settings.codebook_size < 1 or settings.blend < 1 or settings.refine_steps < 0:
        raise ConfigError("shape.codebook_size and shape.blend must be at least 1, shape.refine_steps at least 0")


def _entry_scores(question: _Question, changes: Float[Tensor, "n views k"], query: str) -> Float[Tensor, " n"]:
    cosines = question.cosines(changes)
    if query == "codebook_only":
        return cosines
    # A cosine is blind to length: a body that hardly differs from the average one must not win by chance.
    length = changes.norm(dim=-1).mean(1)
    return cosines * (length / length.median().clamp_min(1e-9)).clamp_max(1.0)


def _search(
    question: _Question,
    latents: Float[Tensor, "n z"],
    changes: Float[Tensor, "n views k"],
    scores: Float[Tensor, " n"],
    radius: float,
    settings: ShapeSettings,
    seed: int,
    reporter: Reporter,
) -> tuple[Float[Tensor, " z"], float]:
    """The direction whose pictures change most like the text, followed for `radius`, and its score."""
    line = _linear_model(latents, changes)
    starts = torch.stack([*_linear_answers(line, question.direction), _blend(latents, scores, settings.blend)])
    starts = torch.cat([starts, latents[scores.argmax(), None]])
    starts = radius * unit(starts)
    seen = question.changes(starts)
    found = question.cosines(seen)
    # All starts are equally unlikely people. Among those that fit alike, the one that changes most toward the text
    # changes least otherwise: a tall person, not a tall person with narrow hips.
    along = (seen @ question.direction).mean(1)
    start = (found + _PURITY * along / along.max().clamp_min(1e-9)).argmax()
    best, score = starts[start], float(found[start])
    if radius == 0:
        return torch.zeros_like(best), score
    generator = stream(seed, "shape/refine")
    with stage(reporter, "shape", settings.refine_steps):
        for step in range(settings.refine_steps):
            width = 0.35 * (1.0 - step / settings.refine_steps) + 0.05
            noise = torch.randn(len(best), generator=generator).to(best) / len(best) ** 0.5
            tried = radius * unit(best + width * radius * noise)
            value = float(question.cosines(question.changes(tried[None]))[0])
            if value > score:
                best, score = tried, value
            reporter.step(score=score)
    return best, score


def _linear_model(latents: Float[Tensor, "n z"], changes: Float[Tensor, "n views k"]) -> Float[Tensor, "z views k"]:
    """Change of the pictures per unit of each latent, by ridge regression over the codebook."""
    n, views, k = changes.shape
    gram = latents.T @ latents
    ridge = _DAMPING * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
    return torch.linalg.solve(gram + ridge, latents.T @ changes.reshape(n, -1)).reshape(-1, views, k)


def _linear_answers(line: Float[Tensor, "z views k"], direction: Float[Tensor, " k"]) -> list[Float[Tensor, " z"]]:
    """Latents whose predicted change has the best cosine (least squares), with more or less ridge."""
    wanted = torch.einsum("zvd,d->z", line, direction)
    gram = torch.einsum("zvd,wvd->zw", line, line)
    mean = gram.diagonal().mean()
    eye = torch.eye(len(gram)).to(gram)
    return [unit(torch.linalg.solve(gram + share * mean * eye, wanted)) for share in _RIDGES]


def _blend(latents: Float[Tensor, "n z"], scores: Float[Tensor, " n"], count: int) -> Float[Tensor, " z"]:
    top = scores.topk(min(count, len(scores)))
    weights = torch.softmax((top.values - top.values[0]) / 0.05, 0)
    return weights @ latents[top.indices]


def _shape(
    betas: Float[Tensor, " n"], body: BodyModel, name: str, score: float | None, candidates: tuple[Shape, ...]
) -> Shape:
    return Shape(
        betas=betas.detach().cpu().numpy(),
        body=name,
        score=score,
        candidates=candidates,
        measures=measure(body, betas) if candidates or score is None else {},
    )
