"""A conditional RealNVP: draws latents of the pose prior that go with a text (Dinh et al. 2017, arXiv:1605.08803).

The condition is what the guidance says about the pose codebook, not its features themselves: mean and spread of the
latents of the entries that fit best, by rank. So one set of weights serves every guidance model and version; it is
bound to the pose prior and the codebook only.
"""

import json
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import load_tensors
from avatargen.core.rng import stream
from motiongen.pose_prior import DATA, LATENT

POSE_FLOW = DATA / "pose_flow.safetensors"
NEIGHBOURS = 40
"""Entries of the codebook that describe a text; the original's pre-selection is as large."""
_REACH = 2.0


class _Coupling(nn.Module):
    """Scales and shifts one half of the latent by what the other half and the condition say."""

    mask: Tensor

    def __init__(self, latent: int, condition: int, hidden: int, mask: Float[Tensor, " z"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(
            nn.Linear(latent + condition, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, 2 * latent),
        )

    def _scale_shift(self, kept: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = self.net(torch.cat((kept, condition), dim=-1)).chunk(2, dim=-1)
        free = 1.0 - self.mask
        # Bounded, so that no coupling can blow a latent up.
        return _REACH * torch.tanh(scale / _REACH) * free, shift * free

    def forward(self, x: Float[Tensor, "b z"], condition: Float[Tensor, "b c"]) -> tuple[Tensor, Tensor]:
        """Towards the normal distribution; also the log of the determinant."""
        scale, shift = self._scale_shift(x * self.mask, condition)
        return (x - shift) * torch.exp(-scale) * (1.0 - self.mask) + x * self.mask, -scale.sum(-1)

    def inverse(self, u: Float[Tensor, "b z"], condition: Float[Tensor, "b c"]) -> Tensor:
        """Back from the normal distribution."""
        scale, shift = self._scale_shift(u * self.mask, condition)
        return (u * torch.exp(scale) + shift) * (1.0 - self.mask) + u * self.mask


class PoseFlow(nn.Module):
    """Latents given a condition, to a standard normal distribution and back."""

    def __init__(self, latent: int = LATENT, hidden: int = 128, couplings: int = 8) -> None:
        super().__init__()
        self.latent, self.hidden = latent, hidden
        draw = stream(0, "flow/masks")
        masks = []
        for index in range(couplings):
            order = torch.randperm(latent, generator=draw)
            mask = torch.zeros(latent).index_fill_(0, order[: latent // 2], 1.0)
            masks.append(mask if index % 2 == 0 else 1.0 - masks[-1])
        self.couplings = nn.ModuleList(_Coupling(latent, 2 * latent, hidden, mask) for mask in masks)

    def normalise(self, latents: Float[Tensor, "b z"], condition: Float[Tensor, "b c"]) -> tuple[Tensor, Tensor]:
        """Normal variables, and the log of the determinant of the map to them."""
        # Counting from the condition's own mean and spread leaves the couplings only what these do not say.
        mean, spread = condition.chunk(2, dim=-1)
        spread = spread.clamp_min(0.1)
        u, total = (latents - mean) / spread, -spread.log().sum(-1)
        for coupling in self.couplings:
            u, log_determinant = coupling(u, condition)
            total = total + log_determinant
        return u, total

    def log_likelihood(self, latents: Float[Tensor, "b z"], condition: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        """Natural log of the density of latents under a condition."""
        u, log_determinant = self.normalise(latents, condition)
        return torch.distributions.Normal(0.0, 1.0).log_prob(u).sum(-1) + log_determinant

    def sample(self, normal: Float[Tensor, "b z"], condition: Float[Tensor, "b c"]) -> Float[Tensor, "b z"]:
        """The latents that `normalise` maps to `normal`."""
        u = normal
        for index in reversed(range(len(self.couplings))):
            u = self.couplings[index].inverse(u, condition)  # pyright: ignore[reportCallIssue]
        mean, spread = condition.chunk(2, dim=-1)
        return u * spread.clamp_min(0.1) + mean


def condition_of(scores: Float[Tensor, "b n"], latents: Float[Tensor, "n z"]) -> Float[Tensor, "b c"]:
    """Mean and deviation of the latents of the best entries, better ones counting more; [b, 2 z].

    Ranks are used, not cosines: a picture is far more like a picture than any text is.
    """
    best = scores.topk(min(NEIGHBOURS, scores.shape[1]), dim=1).indices
    weights = torch.linspace(1.0, 0.1, best.shape[1], device=latents.device)
    weights = (weights / weights.sum())[:, None]
    near = latents[best]
    mean = (near * weights).sum(1)
    spread = ((near - mean[:, None]).square() * weights).sum(1).clamp_min(1e-6).sqrt()
    return torch.cat((mean, spread), dim=1)


def load_pose_flow(path: Path, codebook: str) -> PoseFlow:
    """The flow that belongs to the pose codebook of version `codebook`, in evaluation mode.

    Raises:
        MissingAssetError: the package was built without it, or it was trained with another codebook.
        BrokenFileError: the file is damaged.
    """
    command = f"Train one: motiongen train flow --out {path.parent}"
    if not path.is_file():
        raise MissingAssetError(f"pose flow not found: {path}\n  {command}")
    tensors, metadata = load_tensors(path)
    if metadata.get("codebook") != codebook:
        raise MissingAssetError(f"{path} was trained with another pose codebook than the one in use\n  {command}")
    try:
        latent, hidden, couplings = json.loads(metadata["sizes"])
        flow = PoseFlow(latent, hidden, couplings)
        flow.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise BrokenFileError(f"{path} does not hold a pose flow: {error}") from error
    return flow.eval().requires_grad_(requires_grad=False)
