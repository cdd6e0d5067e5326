"""The space that coarse bodies are searched in: a variational autoencoder over a body model's betas.

Betas are the coordinates of a principal component basis of vertex offsets, so an error in betas is an error of
vertices, measured exactly and cheaply by the basis' Gram matrix; no network needs 20,670 inputs for that.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load as decode_tensors
from torch import Tensor, nn

from avatargen.body.model import BodyModel
from avatargen.core.errors import BrokenFileError
from avatargen.core.files import cache_dir, digest_bytes, load_tensors

LATENT = 16


class ShapeVae(nn.Module):
    """Betas to a Gaussian in 16 dimensions and back; two hidden layers each way beside a linear shortcut."""

    def __init__(self, betas: int, latent: int = LATENT, width: int = 96) -> None:
        super().__init__()
        self.betas, self.latent, self.width = betas, latent, width
        self.encode_line = nn.Linear(betas, 2 * latent)
        self.encode_curve = _curve(betas, width, 2 * latent)
        self.decode_line = nn.Linear(latent, betas)
        self.decode_curve = _curve(latent, width, betas)

    def encode(self, betas: Float[Tensor, "b n"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Mean and log variance of the latent."""
        mean, log_variance = (self.encode_line(betas) + self.encode_curve(betas)).chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, latent: Float[Tensor, "b z"]) -> Float[Tensor, "b n"]:
        """Betas."""
        return self.decode_line(latent) + self.decode_curve(latent)


def _curve(before: int, width: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(before, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, after)
    )


@dataclass(frozen=True, eq=False)
class ShapeSpace:
    """What the search needs: standard normal latents, their betas, and a codebook of latents."""

    body: BodyModel
    vae: ShapeVae | None
    """None for a body without a trained one: its first 16 betas are the latent then."""
    codebook: Float[Tensor, "n z"]
    """Every prefix covers the population."""
    version: str

    def decode(self, latent: Float[Tensor, "b z"]) -> Float[Tensor, "b n"]:
        """Betas of latents; differentiable."""
        if self.vae is not None:
            return self.vae.decode(latent)
        return nn.functional.pad(latent, (0, self.body.num_betas - latent.shape[1]))

    def encode(self, betas: Float[Tensor, "b n"]) -> Float[Tensor, "b z"]:
        """The most likely latents of betas."""
        return self.vae.encode(betas)[0] if self.vae is not None else betas[:, :LATENT]


def trained_file(body: BodyModel) -> Path:
    """Where `train_shape_vae` leaves what it learnt about a body that has nothing shipped."""
    return cache_dir() / "shape" / f"vae-{body.kind}-{body.version}.safetensors"


def load_shape_space(body: BodyModel) -> ShapeSpace | None:
    """The space trained for `body`: one in the cache, else the shipped one; None where there is neither.

    Raises:
        BrokenFileError: the file in the cache is damaged or belongs to another body.
    """
    kept = trained_file(body)
    if kept.is_file():
        tensors, metadata = load_tensors(kept)
        return space_from_tensors(body, tensors, metadata, str(kept))
    shipped = files("avatargen.shape").joinpath(f"data/vae_{body.kind}.safetensors")
    if not shipped.is_file():
        return None
    data = shipped.read_bytes()
    tensors = decode_tensors(data)
    if tensors["decode_line.weight"].shape[0] != body.num_betas:
        return None
    return space_from_tensors(body, tensors, {}, str(shipped))


def space_from_tensors(
    body: BodyModel, tensors: dict[str, Tensor], metadata: dict[str, str], source: str
) -> ShapeSpace:
    """A space from what `avatargen.shape.train` wrote.

    Raises:
        BrokenFileError: tensors are missing or of the wrong sizes.
    """
    if metadata.get("body", f"{body.kind}-{body.version}") != f"{body.kind}-{body.version}":
        raise BrokenFileError(f"{source} was trained for the body {metadata['body']}\n  Delete it, or train again.")
    weights = {key: value.float() for key, value in tensors.items()}
    try:
        codebook = weights.pop("codebook")
        betas, latent = weights["decode_line.weight"].shape
        vae = ShapeVae(betas, latent, weights["decode_curve.0.weight"].shape[0])
        vae.load_state_dict(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        raise BrokenFileError(f"{source} is not a shape space: {error}\n  Delete it, or train again.") from error
    if betas != body.num_betas or not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise BrokenFileError(f"{source} does not fit a body with {body.num_betas} betas\n  Delete it, or train again.")
    device = body.template.device
    version = digest_bytes(b"".join(value.numpy().tobytes() for _, value in sorted(tensors.items())))
    vae = vae.to(device).eval().requires_grad_(False)
    return ShapeSpace(body, vae, codebook.to(device), version)
