"""A prior over human poses: a variational autoencoder of 21 body joints, in VPoser's published shape.

The layers, their names and their order are those of VPoser v2 (Pavlakos et al. 2019, human_body_prior V02_05), so its
state dict fits; the code is ours. Rotations are child-in-parent matrices in SMPL's order, root and hands left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import load_tensors
from avatargen.core.rotations import axis_angle_from_matrix, matrix_from_6d, matrix_from_axis_angle
from motiongen.checkpoints import read_checkpoint

BODY_JOINTS = 21
LATENT = 32
DATA = Path(__file__).resolve().parent / "data"
OPEN_PRIOR = DATA / "pose_prior.safetensors"


class _NormalHead(nn.Module):
    """Two linear layers for a normal distribution; softplus of `logvar` (VPoser's name) is the *deviation*."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent)
        self.logvar = nn.Linear(features, latent)

    def forward(self, x: Float[Tensor, "b f"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Mean and standard deviation."""
        return self.mu(x), nn.functional.softplus(self.logvar(x))


class PosePrior(nn.Module):
    """Poses to 32 numbers that are roughly standard normal, and back."""

    def __init__(self, hidden: int = 512, latent: int = LATENT) -> None:
        super().__init__()
        self.hidden = hidden
        self.latent = latent
        # Sequential indices are part of VPoser's state dict: 1, 2, 4, 6, 7, 8 and 0, 3, 5 hold parameters.
        self.encoder_net = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(BODY_JOINTS * 3),
            nn.Linear(BODY_JOINTS * 3, hidden),
            nn.LeakyReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(0.1),
            nn.Linear(hidden, hidden),
            nn.Linear(hidden, hidden),
            _NormalHead(hidden, latent),
        )
        self.decoder_net = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.LeakyReLU(),
            nn.Dropout(0.1),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, BODY_JOINTS * 6),
        )

    @property
    def head(self) -> "_NormalHead":
        """The layer that gives mean and deviation."""
        return cast(_NormalHead, self.encoder_net[8])

    @property
    def first(self) -> nn.Linear:
        """The layer that reads the latent."""
        return cast(nn.Linear, self.decoder_net[0])

    def encode_vectors(self, axis_angle: Float[Tensor, "b 21 3"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """As `encode`, from rotation vectors."""
        mean, deviation = self.encoder_net(axis_angle)
        return mean.float(), deviation.float()

    def encode(self, rotations: Float[Tensor, "b 21 3 3"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"]]:
        """Mean and standard deviation of the latent of each pose."""
        return self.encode_vectors(axis_angle_from_matrix(rotations))

    def closest(
        self, rotations: Float[Tensor, "b 21 3 3"], steps: int = 40, rate: float = 0.05
    ) -> Float[Tensor, "b z"]:
        """The latent whose pose comes closest: the encoder's guess, then Adam on what the decoder makes of it.

        The encoder has one bend; of poses it has not seen, the decoder can say a third more than it finds.
        """
        with torch.no_grad():
            latents = self.encode(rotations)[0]
        latents.requires_grad_()
        optimizer = torch.optim.Adam([latents], lr=rate)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (1.0 - step / steps)
            with torch.enable_grad():
                apart = (self.decode(latents) - rotations).square().sum((-1, -2))
                # The root makes it the angle, nearly, and is smooth where that is zero.
                (gradient,) = torch.autograd.grad((apart + 1e-4).sqrt().mean(-1).sum(), latents)
            latents.grad = gradient
            optimizer.step()
        return latents.detach()

    def decode(self, latents: Float[Tensor, "b z"]) -> Float[Tensor, "b 21 3 3"]:
        """The pose of each latent."""
        return matrix_from_6d(self.decode_6d(latents))

    def decode_6d(self, latents: Float[Tensor, "b z"]) -> Float[Tensor, "b 21 6"]:
        """The decoder's raw output in our order (first column, then second), before Gram-Schmidt."""
        # VPoser stores the two columns as a 3 x 2 matrix, row by row.
        return self.decoder_net(latents).float().view(-1, BODY_JOINTS, 3, 2).transpose(2, 3).reshape(-1, BODY_JOINTS, 6)


def full_pose(body: Float[Tensor, "*b 21 3 3"]) -> Float[Tensor, "*b 24 3 3"]:
    """The 24 SMPL rotations of a body pose: upright root, straight hands."""
    eye = torch.eye(3, dtype=body.dtype, device=body.device)
    root = eye.expand(*body.shape[:-3], 1, 3, 3)
    return torch.cat((root, body, eye.expand(*body.shape[:-3], 2, 3, 3)), dim=-3)


def build_pose_prior(tensors: Mapping[str, Tensor], source: str) -> PosePrior:
    """A prior from a VPoser-layout state dict; the sizes are read off the tensors.

    Raises:
        BrokenFileError: a tensor is missing or has the wrong shape; the message names it.
    """
    named = {_strip(name): tensor.float() for name, tensor in tensors.items()}
    try:
        hidden, latent = named["decoder_net.0.weight"].shape
        prior = PosePrior(hidden, latent)
        wanted = prior.state_dict()
        for name, tensor in wanted.items():
            if name.endswith("num_batches_tracked"):
                named.setdefault(name, tensor)
            elif named[name].shape != tensor.shape:
                raise BrokenFileError(
                    f"{source}: {name} has shape {tuple(named[name].shape)}, expected {tuple(tensor.shape)}"
                )
    except (KeyError, ValueError) as error:
        raise BrokenFileError(f"{source} does not hold a pose prior in VPoser's layout: {error} is missing") from error
    prior.load_state_dict({name: named[name] for name in wanted})
    return prior.eval().requires_grad_(requires_grad=False)


def _strip(name: str) -> str:
    for prefix in ("module.", "vp_model."):
        name = name.removeprefix(prefix)
    return name


def load_open_prior(path: Path = OPEN_PRIOR) -> PosePrior:
    """The prior that ships with the package, in evaluation mode.

    Raises:
        MissingAssetError: the package was built without it.
        BrokenFileError: the file is damaged.
    """
    if not path.is_file():
        raise MissingAssetError(
            f"pose prior not found: {path}\n  Train one: motiongen train pose --data set.npz --out {path}"
        )
    return build_pose_prior(load_tensors(path)[0], str(path))


def load_vposer(folder: Path) -> PosePrior:
    """VPoser v2 from the user's `smpl_models/vposer`: the last `.ckpt`, `.pt` or `.safetensors` by name, weights only.

    Raises:
        MissingAssetError: no weight file there.
        BrokenFileError: the file cannot be read without executing code, or holds something else.
    """
    files = sorted(p for pattern in ("*.ckpt", "*.pt", "*.pth", "*.safetensors") for p in folder.rglob(pattern))
    if not files:
        raise MissingAssetError(
            f"no VPoser weights under {folder}\n"
            f"  Register at https://smpl-x.is.tue.mpg.de, download VPoser v2.0 and unpack it there,\n"
            f"  or use the open prior: --set motion.prior=open"
        )
    path = files[-1]
    if path.suffix == ".safetensors":
        return build_pose_prior(load_tensors(path)[0], str(path))
    return build_pose_prior(read_checkpoint(path), str(path))


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseLoss:
    """The parts of the training loss; `total` is what is minimised."""

    total: Float[Tensor, ""]
    angle: Float[Tensor, ""]
    """Mean joint error in radians."""
    divergence: Float[Tensor, ""]
    """KL divergence to N(0, I), summed over the latent."""


def pose_loss(
    prior: PosePrior,
    axis_angle: Float[Tensor, "b 21 3"],
    noise: Float[Tensor, "b z"],
    kl_weight: float,
) -> PoseLoss:
    """Reconstruction (matrix entries and angle) plus the divergence of the latents."""
    mean, deviation = prior.encode_vectors(axis_angle)
    target = matrix_from_axis_angle(axis_angle)
    decoded = prior.decode(mean + deviation * noise)
    squared = (decoded - target).square().sum((-1, -2))
    # |A - B|_F = 2 sqrt(2) sin(angle / 2): smooth where the geodesic distance is not.
    angle = 2.0 * torch.asin((squared.clamp_min(1e-12).sqrt() / 8**0.5).clamp_max(1.0 - 1e-6))
    divergence = 0.5 * (mean.square() + deviation.square() - 1.0 - 2.0 * deviation.clamp_min(1e-8).log()).sum(-1).mean()
    total = squared.mean() + angle.mean() + kl_weight * divergence
    return PoseLoss(total=total, angle=angle.mean(), divergence=divergence)
