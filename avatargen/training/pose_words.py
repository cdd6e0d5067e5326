"""Teaches the names of poses: frames of the motion set against the phrases of their clips, without pictures.

The image tower reads joints off a picture with errors of some centimetres, so joints are jittered by as much here.
Phrases are varied as people write them ("punching", "a man who throws a punch"). Several clips share a phrase, so a
batch's targets are soft: a phrase is right for every clip that has it, and a little for those that share another with
the clip of which it is said ("jump, land low" for a jump).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import log_softmax

from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.rng import numpy_stream, stream
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.guidance.embedded.lexicon import ACTION_SYNONYMS
from avatargen.guidance.embedded.text_tower import ActionWords, PoseVector, encode_pieces
from avatargen.training.gbuffers import canonical_joints
from avatargen.training.motions import MotionSet, central_frames

TEMPERATURE = 0.05
_JITTER = 0.02
"""Metres; joints that were read off pictures get half of it on top of their own errors."""
_LABELS = 0.5
"""Share of the phrases that are the clip's own label, which tells it from others of its kind."""
_READ = 0.75
"""Share of the poses that are as the networks read them off pictures; the others are true, with jitter."""
_KIN = 0.1
"""What a phrase that is said of one clip counts for another that shares any phrase with that one."""
_PREFIXES = ("", "", "", "a person ", "someone ", "a man ", "a woman ", "a person who is ")
_IRREGULAR = {
    "lie": "lying",
    "die": "dying",
    "be": "being",
    "run": "running",
    "sit": "sitting",
    "get": "getting",
    "swim": "swimming",
}


def gerund(phrase: str) -> str:
    """Turn "throw a punch" into "throwing a punch"."""
    verb, _, rest = phrase.partition(" ")
    if verb in _IRREGULAR:
        ing = _IRREGULAR[verb]
    elif verb.endswith("e") and not verb.endswith("ee"):
        ing = verb[:-1] + "ing"
    elif re.fullmatch(r"[a-z]*[^aeiou][aeiou][bdgmnpt]", verb) and len(verb) <= 4:
        ing = verb + verb[-1] + "ing"
    else:
        ing = verb + "ing"
    return f"{ing} {rest}".strip()


def phrases_with_synonyms(phrases: Sequence[str]) -> list[str]:
    """A clip's own phrases, and those of the lexicon that mean one of them."""
    joined = " | ".join(phrases)
    more = [s for s, words in ACTION_SYNONYMS.items() if words in joined]
    short = [p.split(" with ")[0].split(" and ")[0].split(",")[0] for p in phrases]
    return list(dict.fromkeys([*phrases, *short, *more]))


def joints_of(motions: MotionSet, chunk: int = 4096) -> Float[Tensor, "f 23 3"]:
    """Joints of every frame, in the image tower's frame."""
    frames = torch.from_numpy(motions.axis_angle)
    with torch.no_grad():
        return torch.cat([canonical_joints(matrix_from_axis_angle(part)) for part in frames.split(chunk)])


def train_pose_words(
    motions: MotionSet,
    clips: Sequence[int],
    seed: int = 0,
    steps: int = 12000,
    batch: int = 256,
    reporter: Reporter | None = None,
    read: tuple[Tensor, np.ndarray] | None = None,
) -> tuple[ActionWords, PoseVector]:
    """The two networks, trained on `clips`.

    Every label is drawn equally often, however many clips it has. `read` holds joints [n, 23, 3] as the image tower
    read them off pictures, and which of `clips` [n] each is from: most of every batch is taken from them, so that
    poses are known by what the tower makes of them.
    """
    reporter = reporter or Silent()
    generator = numpy_stream(seed, "pose-words")
    noise = stream(seed, "pose-words/noise")
    joints = joints_of(motions)
    frames = [central_frames(motions, c) for c in clips]
    texts = [phrases_with_synonyms(motions.phrases[c]) for c in clips]
    labels = [motions.phrases[c][0] for c in clips]
    same = [np.flatnonzero([label == other for other in labels]) for label in dict.fromkeys(labels)]
    fit = fit_of(texts)
    words, pose = ActionWords(), PoseVector()
    _start(words, seed)
    _start(pose, seed + 1)
    parameters = [*words.parameters(), *pose.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1)
    with stage(reporter, "pose words", steps):
        for _ in range(steps):
            chosen = np.array([generator.choice(same[label]) for label in generator.integers(0, len(same), batch)])
            rows = np.array([generator.choice(frames[c]) for c in chosen])
            phrases = [_phrase(generator, texts[c]) for c in chosen]
            said = [_vary(generator, phrase) for phrase in phrases]
            seen = joints[rows] + _error(noise, batch)
            if read is not None:
                seen = _with_read(generator, noise, read, chosen, seen)
            logits = pose(seen) @ words(encode_pieces(said)).T / TEMPERATURE
            target = torch.from_numpy(fit.target(chosen, phrases))
            loss = -_agreement(logits, target) - _agreement(logits.T, target.T)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            reporter.step(1, loss=float(loss.detach()))
    return words.eval(), pose.eval()


@dataclass(frozen=True, eq=False)
class Fit:
    """Which phrases are right for which clips."""

    number: Mapping[str, int]
    """Of each phrase."""
    has: Float[np.ndarray, "clips phrases"]
    """1 where the clip has the phrase."""
    kin: Float[np.ndarray, "clips clips"]
    """1 where two clips share a phrase."""

    def target(self, chosen: Integer[np.ndarray, " b"], phrases: Sequence[str]) -> Float[np.ndarray, "b b"]:
        """How right each of `phrases`, one said of each of the `chosen` clips, is for each of these clips."""
        columns = [self.number[phrase] for phrase in phrases]
        return self.has[chosen[:, None], columns] + _KIN * self.kin[chosen[:, None], chosen]


def fit_of(texts: Sequence[Sequence[str]]) -> Fit:
    """From the phrases of each clip."""
    number = {phrase: i for i, phrase in enumerate(dict.fromkeys(p for phrases in texts for p in phrases))}
    has = np.zeros((len(texts), len(number)), dtype=np.float32)
    for clip, phrases in enumerate(texts):
        has[clip, [number[phrase] for phrase in phrases]] = 1.0
    return Fit(number, has, (has @ has.T > 0).astype(np.float32))


def _with_read(
    generator: np.random.Generator,
    noise: torch.Generator,
    read: tuple[Tensor, np.ndarray],
    chosen: np.ndarray,
    seen: Tensor,
) -> Tensor:
    """`seen`, its first part replaced by joints of the same clips that were read off pictures."""
    part = round(_READ * len(chosen))
    first = np.searchsorted(read[1], chosen[:part])
    count = np.searchsorted(read[1], chosen[:part], side="right") - first
    rows = first + (generator.random(part) * count).astype(int)
    taken = read[0][rows]
    return torch.cat([taken + 0.5 * _JITTER * torch.randn(taken.shape, generator=noise), seen[part:]])


def _agreement(logits: Tensor, target: Tensor) -> Tensor:
    return (log_softmax(logits, 1) * target / target.sum(1, keepdim=True)).sum(1).mean()


def _error(noise: torch.Generator, count: int) -> Float[Tensor, "b 23 3"]:
    """Jitter of each joint, a turn of the whole, and a lean, as the image tower errs."""
    jitter = _JITTER * torch.randn(count, 23, 3, generator=noise)
    return jitter + 0.7 * _JITTER * torch.randn(count, 1, 3, generator=noise)


def _phrase(generator: np.random.Generator, phrases: Sequence[str]) -> str:
    return phrases[0 if generator.random() < _LABELS else int(generator.integers(len(phrases)))]


def _vary(generator: np.random.Generator, phrase: str) -> str:
    if generator.random() < 0.6:
        phrase = gerund(phrase)
    return _PREFIXES[int(generator.integers(len(_PREFIXES)))] + phrase


def _start(module: torch.nn.Module, seed: int) -> None:
    """Weights from a named stream, so that training depends on no global seed."""
    generator = stream(seed, "start")
    for parameter in module.parameters():
        if parameter.ndim >= 2:
            parameter.data.normal_(0, parameter.shape[-1] ** -0.5, generator=generator)
