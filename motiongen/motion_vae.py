"""A variational autoencoder of whole motions: a transformer encoder and decoder around one 256-number latent.

After ACTOR (Petrovich et al. 2021, arXiv:2104.05670), with three changes. The decoder gets the latent as a few tokens
beside its time tokens instead of as the only memory of a cross attention. Each time token stands for four frames, and
neighbouring tokens are cross-faded, which is four times cheaper and smooth. The root's path and the foot contacts are
part of the motion.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
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
    VELOCITY,
    Clip,
    from_features,
    joint_positions,
    standard_offsets,
    to_features,
)

PATCH = 4
MEMORY = 4
LATENT = 256
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


class MotionVae(nn.Module):
    """Windows of motion to normal distributions over 256 numbers, and back."""

    mean: Tensor
    scale: Tensor
    offsets: Tensor

    def __init__(
        self, size: int = 256, inner: int = 384, encoder_layers: int = 3, decoder_layers: int = 4, latent: int = LATENT
    ) -> None:
        super().__init__()
        self.size, self.latent = size, latent
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.register_buffer("offsets", standard_offsets(), persistent=False)
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

    def encode(self, features: Float[Tensor, "b t 137"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Mean and standard deviation of each window's latent. The last frame is held up to a multiple of four."""
        rows = (features - self.mean) / self.scale
        missing = -rows.shape[1] % PATCH
        rows = torch.cat((rows, rows[:, -1:].expand(-1, missing, -1)), dim=1)
        patches = rows.unflatten(1, (-1, PATCH)).flatten(2)
        times = PATCH * (torch.arange(patches.shape[1], device=rows.device) + 0.5)
        tokens = self.read(patches) + sinusoids(times, self.size)
        tokens = torch.cat((self.query.expand(len(rows), -1, -1), tokens), dim=1)
        read = self.encoder_norm(self.encoder(tokens)[:, :2])
        return self.to_mean(read[:, 0]), softplus(self.to_deviation(read[:, 1])) + 1e-4

    def decode(self, latents: Float[Tensor, "b z"], frames: int) -> Float[Tensor, "b t 137"]:
        """Feature rows of `frames` frames; contacts are logits (scaled as the features are)."""
        blocks = -(-frames // PATCH)
        times = PATCH * torch.arange(blocks + 1, device=latents.device, dtype=torch.float32)
        memory = self.unfold(latents).unflatten(-1, (MEMORY, self.size))
        # The latent is also added to every time token: without that, training sat on the mean motion for long.
        queries = sinusoids(times, self.size) + self.tint(latents)[:, None]
        tokens = self.decoder(torch.cat((memory, queries), dim=1))[:, MEMORY:]
        # Token i is centred on the boundary before block i and reaches one block to either side.
        pieces = self.write(self.decoder_norm(tokens)).float().unflatten(-1, (2 * PATCH, FEATURES))
        fade = ((torch.arange(PATCH, device=latents.device) + 0.5) / PATCH)[:, None]
        rows = (1.0 - fade) * pieces[:, :-1, PATCH:] + fade * pieces[:, 1:, :PATCH]
        return rows.flatten(1, 2)[:, :frames] * self.scale + self.mean

    def motion(self, latents: Float[Tensor, "b z"], frames: int) -> Clip:
        """Decoded windows with contacts as probabilities."""
        clip = from_features(self.decode(latents, frames))
        return Clip(rotations=clip.rotations, root=clip.root, contacts=torch.sigmoid(clip.contacts))

    def encode_clip(self, clip: Clip) -> Float[Tensor, "b z"]:
        """The latent means of windows."""
        return self.encode(to_features(clip))[0]


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How the parts of the training loss are weighed; lengths in resting pelvis heights, time in seconds."""

    rotation: float = 1.0
    place: float = 12.0
    speed: float = 0.25
    root: float = 4.0
    path: float = 2.0
    contact: float = 0.05
    skate: float = 0.02
    divergence: float = 3e-4
    free_bits: float = 0.02
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
    mean, deviation = mean.float(), deviation.float()
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
    told_contact = features[..., CONTACT].clamp(0.0, 1.0)
    divergence = 0.5 * (mean.square() + deviation.square() - 1.0 - 2.0 * deviation.log())
    return {
        "rotation": weights.rotation * (told.rotations - made.rotations).square().sum((-1, -2)).mean(),
        "place": weights.place * (told_joints - made_joints).square().sum(-1).mean(),
        "speed": weights.speed * (told_speed - made_speed).square().sum(-1).mean(),
        "root": weights.root * (height + 0.3 * velocity),
        "path": weights.path * (told.root - made.root).square().sum(-1).mean(),
        "contact": weights.contact * binary_cross_entropy_with_logits(decoded[..., CONTACT], told_contact),
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
