"""A variational autoencoder of whole motions: two seconds to one latent of 256 numbers, and back.

After ACTOR (Petrovich et al. 2021, arXiv:2104.05670), with three changes. A fixed linear autoencoder (the main
directions of the training windows, see `motiongen.subspace`, whitened) carries the bulk, and the transformer encoder
and decoder learn what is left: from half an hour of motion a transformer alone sits on the mean motion for long. The
decoder gets the latent as tokens beside its time tokens, not as the only memory of a cross attention; a time token
stands for four frames, and neighbours are cross-faded. The root's path and the foot contacts are part of the motion.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import (
    relu,
    scaled_dot_product_attention,
    softplus,
)

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import load_tensors
from motiongen.motion_features import (
    ANKLES,
    CONTACT,
    FEATURES,
    FEET,
    HEIGHT,
    RATE,
    ROTATION,
    VELOCITY,
    Clip,
    from_features,
    joint_positions,
    limb_of_features,
    standard_offsets,
)
from motiongen.subspace import main_directions

FRAMES = 60
PATCH = 4
MEMORY = 2
LATENT = 256
_SPEED_SHARE = 8.0
# How much of the body each joint moves: pelvis, hips, spine ... wrists, in SMPL's order.
_IMPORTANCE = (2.0, 1.3, 1.3, 1.4, 1.1, 1.1, 1.3, 0.9, 0.9, 1.2, 0.6, 0.6)
_IMPORTANCE += (0.9, 1.1, 1.1, 0.8, 1.3, 1.3, 1.0, 1.0, 0.7, 0.7)
OPEN_VAE = Path(__file__).resolve().parent / "data" / "motion_vae.safetensors"


def sinusoids(times: Float[Tensor, " n"], size: int) -> Float[Tensor, "n size"]:
    """Sines and cosines of token times (in frames), wavelengths 2 pi .. 2 pi 1000."""
    rate = torch.exp(torch.arange(0, size, 2, device=times.device) * (-math.log(1000.0) / size))
    angle = times[:, None] * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


class _Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, size: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(size)
        self.mix = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.norm_inner = nn.LayerNorm(size)
        self.widen = nn.Linear(size, inner)
        self.narrow = nn.Linear(inner, size)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Attention, then the two-layer network, each added to its input."""
        parts = self.mix(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.narrow(nn.functional.gelu(self.widen(self.norm_inner(x))))


def _metric() -> tuple[Float[Tensor, "t t"], Float[Tensor, "t t"]]:
    """Symmetric root of I + a D^T D over time, and its inverse: errors in speed count, not only in place."""
    steps = torch.eye(FRAMES, dtype=torch.float64).diff(dim=0)
    values, vectors = torch.linalg.eigh(torch.eye(FRAMES, dtype=torch.float64) + _SPEED_SHARE * steps.T @ steps)
    root, inverse = (vectors * values.sqrt()) @ vectors.T, (vectors / values.sqrt()) @ vectors.T
    return root.float(), inverse.float()


class MotionVae(nn.Module):
    """Windows of 60 frames to normal distributions over 256 numbers, and back."""

    mean: Tensor
    scale: Tensor
    basis: Tensor
    spread: Tensor
    offsets: Tensor
    metric: Tensor
    metric_inverse: Tensor
    fade: Tensor
    in_times: Tensor
    out_times: Tensor

    def __init__(
        self, size: int = 160, inner: int = 320, encoder_layers: int = 2, decoder_layers: int = 3, latent: int = LATENT
    ) -> None:
        super().__init__()
        self.size, self.latent = size, latent
        self.register_buffer("mean", torch.zeros(FRAMES, FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.register_buffer("basis", torch.eye(latent, FRAMES * FEATURES))
        self.register_buffer("spread", torch.ones(latent))
        self.register_buffer("offsets", standard_offsets(), persistent=False)
        root, inverse = _metric()
        self.register_buffer("metric", root, persistent=False)
        self.register_buffer("metric_inverse", inverse, persistent=False)
        self.read = nn.Linear(PATCH * FEATURES, size)
        self.query = nn.Parameter(torch.zeros(2, size))
        self.encoder = nn.Sequential(*(_Block(size, 4, inner) for _ in range(encoder_layers)))
        self.encoder_norm = nn.LayerNorm(size)
        self.to_mean = nn.Linear(size, latent)
        self.to_deviation = nn.Linear(size, latent)
        self.unfold = nn.Linear(latent, MEMORY * size)
        self.tint = nn.Linear(latent, size)
        self.decoder = nn.Sequential(*(_Block(size, 4, inner) for _ in range(decoder_layers)))
        self.decoder_norm = nn.LayerNorm(size)
        self.write = nn.Linear(size, 2 * PATCH * FEATURES)
        times = PATCH * torch.arange(FRAMES // PATCH + 1)
        self.register_buffer("in_times", sinusoids(times[:-1] + PATCH / 2, size), persistent=False)
        self.register_buffer("out_times", sinusoids(times.float(), size), persistent=False)
        fade = ((torch.arange(PATCH) + 0.5) / PATCH)[:, None]
        self.register_buffer("fade", fade, persistent=False)

    def normalised(self, features: Float[Tensor, "b t 137"]) -> Float[Tensor, "b 60 137"]:
        """Rows about their mean, each kind at its own scale; a shorter window holds its last frame."""
        missing = FRAMES - features.shape[1]
        if missing > 0:
            held = features[:, -1:].expand(-1, missing, -1).clone()
            held[..., VELOCITY] = 0.0
            features = torch.cat((features, held), dim=1)
        return (features[:, :FRAMES] - self.mean) / self.scale

    def project(self, rows: Float[Tensor, "b 60 137"]) -> Float[Tensor, "b z"]:
        """The linear encoder."""
        return ((self.metric @ rows).flatten(1) @ self.basis.T) / self.spread

    def rebuild(self, latents: Float[Tensor, "b z"]) -> Float[Tensor, "b 60 137"]:
        """The linear decoder."""
        return self.metric_inverse @ ((latents * self.spread) @ self.basis).unflatten(1, (FRAMES, FEATURES))

    def encode(self, features: Float[Tensor, "b t 137"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Mean and standard deviation of the latent of each window of up to 60 frames (the first 60 of longer ones)."""
        rows = self.normalised(features)
        tokens = self.read(rows.unflatten(1, (-1, PATCH)).flatten(2)) + self.in_times
        tokens = torch.cat((self.query.expand(len(rows), -1, -1).to(tokens.dtype), tokens), dim=1)
        read = self.encoder_norm(self.encoder(tokens)[:, :2])
        deviation = softplus(self.to_deviation(read[:, 1]).float()) + 1e-3
        return self.project(rows) + self.to_mean(read[:, 0]).float(), deviation

    def decode(self, latents: Float[Tensor, "b z"], frames: int = FRAMES) -> Float[Tensor, "b t 137"]:
        """Feature rows of the first `frames` (at most 60) frames.

        Raises:
            ValueError: more than 60 frames are asked for.
        """
        if not 0 < frames <= FRAMES:
            raise ValueError(f"one latent holds {FRAMES} frames, not {frames}")
        memory = self.unfold(latents).unflatten(-1, (MEMORY, self.size))
        # The latent is also added to every time token: attention alone learns to look at it late.
        queries = self.out_times + self.tint(latents)[:, None]
        tokens = self.decoder(torch.cat((memory, queries.to(memory.dtype)), dim=1))[:, MEMORY:]
        # Token i is centred on the boundary before block i and reaches one block to either side.
        pieces = self.write(self.decoder_norm(tokens)).float().unflatten(-1, (2 * PATCH, FEATURES))
        rows = (1.0 - self.fade) * pieces[:, :-1, PATCH:] + self.fade * pieces[:, 1:, :PATCH]
        rows = rows.flatten(1, 2) + self.rebuild(latents)
        return (rows * self.scale + self.mean)[:, :frames]

    def motion(
        self, latents: Float[Tensor, "b z"], frames: int = FRAMES, details: Float[Tensor, "b 60 137"] | None = None
    ) -> Clip:
        """Decoded windows, with `details` added to their rows; contacts in 0..1."""
        rows = self.decode(latents, frames)
        clip = from_features(rows if details is None else rows + details[:, :frames])
        return Clip(rotations=clip.rotations, root=clip.root, contacts=clip.contacts.clamp(0.0, 1.0))

    @torch.no_grad()
    def fit_linear(self, features: Float[Tensor, "n 60 137"], generator: torch.Generator) -> None:
        """Set mean, scales and the linear part from training windows; the transformers start at zero output.

        The deviations start where probabilistic PCA has them (Tipping and Bishop 1999).
        """
        self.mean.copy_(features.mean((0, 1)).expand_as(self.mean))  # a mean that moved would move who stands still
        centred = features - self.mean
        for kind, importance in ((ROTATION, 1.0), (VELOCITY, 2.0), (slice(HEIGHT, HEIGHT + 1), 3.0), (CONTACT, 0.5)):
            self.scale[kind] = centred[..., kind].square().mean().sqrt().clamp_min(1e-4) / importance
        for joint, importance in enumerate(_IMPORTANCE):
            self.scale[6 * joint : 6 * joint + 6] /= importance
        rows = self.metric @ (centred / self.scale)
        basis, spread = main_directions(rows, limb_of_features(), self.latent, generator)
        self.basis.copy_(basis)
        self.spread.copy_(spread.clamp_min(1e-6))
        noise = 0.5 * self.spread[-1].square()
        deviation = (noise / (self.spread.square() + noise)).sqrt().clamp_min(0.02)
        for layer in (self.to_mean, self.to_deviation, self.write):
            layer.weight.zero_()
            layer.bias.zero_()
        self.to_deviation.bias.copy_(torch.expm1(deviation).log())


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How the parts of the training loss are weighed; lengths in resting pelvis heights, time in seconds."""

    rotation: float = 1.0
    place: float = 12.0
    speed: float = 0.25
    root: float = 4.0
    path: float = 2.0
    contact: float = 0.1
    skate: float = 0.05
    divergence: float = 3e-4
    free_bits: float = 0.1
    """Divergence per latent dimension that costs nothing."""


def motion_loss(
    vae: MotionVae,
    features: Float[Tensor, "b t 137"],
    noise: Float[Tensor, "b z"],
    weights: LossWeights,
    span: tuple[int, int] = (0, 10_000),
) -> dict[str, Float[Tensor, ""]]:
    """The parts of the loss, already weighed; their sum is minimised.

    Forward kinematics is dear on a CPU, so the losses on joints look at the frames of `span` only; training moves it.
    """
    mean, deviation = vae.encode(features)
    decoded = vae.decode(mean + deviation * noise, features.shape[1])
    told, made = from_features(features), from_features(decoded)
    part = slice(span[0], min(span[1], features.shape[1]))
    told_joints = joint_positions(told.rotations[:, part], vae.offsets)
    made_joints = joint_positions(made.rotations[:, part], vae.offsets)
    told_speed, made_speed = told_joints.diff(dim=1) * RATE, made_joints.diff(dim=1) * RATE
    world = made_joints[:, :, FEET + ANKLES] + made.root[:, part, None]
    contacts = features[:, part, CONTACT]
    standing = (contacts[:, 1:] * contacts[:, :-1]).repeat(1, 1, 2)
    skate = ((world.diff(dim=1) * RATE).square().sum(-1) * standing).mean()
    height = (features[..., HEIGHT] - decoded[..., HEIGHT]).square().mean()
    velocity = (features[..., VELOCITY] - decoded[..., VELOCITY]).square().sum(-1).mean()
    divergence = 0.5 * (mean.square() + deviation.square() - 1.0 - 2.0 * deviation.log())
    return {
        "rotation": weights.rotation * (told.rotations - made.rotations).square().sum((-1, -2)).mean(),
        "place": weights.place * (told_joints - made_joints).square().sum(-1).mean(),
        "speed": weights.speed * (told_speed - made_speed).square().sum(-1).mean(),
        "root": weights.root * (height + 0.3 * velocity),
        "path": weights.path * (told.root - made.root).square().sum(-1).mean(),
        "contact": weights.contact * (features[..., CONTACT] - decoded[..., CONTACT]).square().mean(),
        "skate": weights.skate * skate,
        "divergence": weights.divergence * relu(divergence.mean(0) - weights.free_bits).sum(),
    }


def build_motion_vae(tensors: dict[str, Tensor], source: str) -> MotionVae:
    """A model in evaluation mode from its state dict; sizes are read off the tensors.

    Raises:
        BrokenFileError: a tensor is missing or has the wrong shape.
    """
    try:
        latent, size = tensors["to_mean.weight"].shape
        inner = tensors["encoder.0.widen.weight"].shape[0]
        layers = [sum(n.startswith(side) and n.endswith("mix.weight") for n in tensors) for side in ("enc", "dec")]
        vae = MotionVae(size, inner, layers[0], layers[1], latent)
        vae.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise BrokenFileError(f"{source} does not hold a motion VAE: {error}") from error
    return vae.eval().requires_grad_(requires_grad=False)


def load_motion_vae(path: Path = OPEN_VAE) -> MotionVae:
    """The motion VAE that ships with the package.

    Raises:
        MissingAssetError: the package was built without it.
        BrokenFileError: the file is damaged.
    """
    if not path.is_file():
        raise MissingAssetError(
            f"motion VAE not found: {path}\n  Train one: motiongen train motion --data set.npz --out {path}"
        )
    return build_motion_vae(load_tensors(path)[0], str(path))
