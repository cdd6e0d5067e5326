"""Which motions of the codebook a search starts from: words first, then a look, and a draw among what fits alike.

Takes of one action, mirrored or not, are one kind. The seed draws a kind among those that are called as the text says,
each as likely as it fits and however many takes it has; ten seeds in a row are spread evenly over the kinds.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatargen.core.files import cache_key, digest_bytes
from avatargen.core.progress import Reporter
from avatargen.core.rng import stream
from avatargen.core.settings import MotionSettings
from avatargen.guidance.model import Guidance
from motiongen.candidates import phrase_scores, rank_motions, standard, word_scores
from motiongen.codebook import MotionCodebook, cached, key_frames, picture_features
from motiongen.manner import drawn
from motiongen.motion_vae import MotionVae
from motiongen.optimize import intensity, window
from motiongen.puppet import Puppet
from motiongen.replay import own_action

_PER_CLIP = 2
_WINDOWS = 6
"""Windows of one clip that are looked at: a long one does not do all the time what it is called."""
_CALLED = 0.8
"""Share of the most words that any clip shares with the text, from which on a clip is called so."""
_FAR = 1.0
"""How much worse than the best a clip may fit that is called as the text says."""
_NEAR = 0.2
"""And one that is not."""
_ODDS = 0.8
"""A kind that fits worse by this much is e times less likely, at a variety of 1."""
_LIVELIEST = 1.0
"""Of how fast a window is beside the fastest of its clip: who jumps and then stands is called after the jump."""
_DRAWN = 6.0
"""What the drawn kind is ahead of all others: pictures choose among its takes, not among the kinds."""
_CHANCE = 1.0
"""Of the seed in the order of takes, at a variety of 1."""


@torch.no_grad()
def choose_starts(
    text: str,
    feature: Float[Tensor, "1 d"],
    guidance: Guidance,
    puppet: Puppet,
    motions: MotionCodebook,
    vae: MotionVae,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> tuple[Int[Tensor, " s"], Float[Tensor, " s"]]:
    """Rows of the motion codebook to start from, best first, and their scores.

    Words first (the guidance's text-to-text cosine and plainly shared words), then the guidance looks at the key
    frames of a shortlist, which is the same for every seed.
    """
    shared = word_scores(text, motions)
    told = settings.phrase_weight * standard(phrase_scores(guidance, feature, motions, reporter))
    scores = told + settings.word_weight * shared
    fits = fitting(scores, shared)
    wanted = max(1, settings.starts - settings.prior_starts)
    ahead = (scores + _DRAWN * fits)[motions.clip]
    count = max(settings.shortlist, wanted, int(fits[motions.clip].sum()))
    short = rank_motions(ahead, motions.clip, count, _WINDOWS)
    poses = key_frames(vae, motions.latents[short], window(settings), 3)
    key = cache_key(
        guidance=guidance.name,
        guidance_version=guidance.version,
        body=puppet.version,
        poses=digest_bytes(poses.numpy().tobytes()),
    )

    def look() -> Tensor:
        return picture_features(guidance, puppet, poses.flatten(0, 1), (30.0,), reporter, "starts")

    seen = cached(key, "starts", look, reporter)
    looks = (seen @ feature.T)[:, 0].unflatten(0, (-1, 3)).max(1).values
    clips = motions.clip[short]
    kind = kinds(motions)[clips]
    lively = intensity(vae.motion(motions.latents[short], window(settings)), vae.offsets)
    total = scores[clips] + settings.image_weight * standard(looks) + _LIVELIEST * lively / top_of(lively, clips)
    chosen = draw_kind(total, kind, fits[clips], settings.variety, drawn(seed, "kind"))
    # Which take of a kind is best is left to the seed, too; which of its windows is not (Gumbel's distribution makes
    # the first of a ranking a draw from its softmax).
    chance = torch.rand(len(motions.words), generator=stream(seed, "motion/choice")).clamp_min(1e-6)
    total = total + _DRAWN * (fits[clips] & (kind == chosen))
    total = total - settings.variety * _CHANCE * torch.log(-torch.log(chance))[clips]
    order = rank_motions(total, clips, wanted, _PER_CLIP)
    return short[order], total[order]


def fitting(scores: Float[Tensor, " w"], shared: Float[Tensor, " w"]) -> Bool[Tensor, " w"]:
    """Which clips are called as the text says, or fit best of all where words and sense together say more than that.

    A clip that is called so is it, whatever else a model takes the words for (a bow of ribbon); but "jump forward and
    turn around" is less of a jump than "jump up and land".
    """
    called = shared >= _CALLED * shared.max()
    best = scores[called].max()
    better = (scores > best) & (scores > scores.max() - _NEAR)
    # Where no clip shares a word all are called alike, and only sense tells them apart.
    far = _FAR if bool(shared.any()) else _NEAR
    return better | (called & (scores > scores[called | better].max() - far))


def top_of(values: Float[Tensor, " n"], groups: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The largest value of each one's group."""
    same = groups[:, None] == groups
    return torch.where(same, values, values.min()).amax(1)


def kinds(motions: MotionCodebook) -> Int[Tensor, " w"]:
    """The number of each clip's kind: mirror images are one, and so are the takes of a clip of our own."""
    if not motions.names:
        return torch.arange(len(motions.words))
    plain = [own_action(name) or name.removesuffix("_mirrored") for name in motions.names]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(plain))}
    return torch.tensor([numbers[name] for name in plain])


def draw_kind(
    scores: Float[Tensor, " n"], kind: Int[Tensor, " n"], fits: Bool[Tensor, " n"], variety: float, chance: float
) -> int:
    """One kind of those that fit: that within whose share of the odds `chance` (0..1) falls; the best at no variety."""
    names = kind[fits].unique()
    best = torch.stack([scores[fits & (kind == name)].max() for name in names])
    if variety <= 0:
        return int(names[best.argmax()])
    odds = torch.softmax(best.double() / (_ODDS * variety), 0).cumsum(0)
    return int(names[min(int((odds <= chance).sum()), len(names) - 1)])
