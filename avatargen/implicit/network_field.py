"""The avatar as AvatarCLIP has it: one distance network and one color network for all of space.

The networks live in a unit frame: the body's box is centred at the origin and, where the body is taller than fits,
scaled down into the unit ball. The field itself speaks metres in the A-pose frame, as `AvatarField` does.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatargen.body.model import BodyModel
from avatargen.core.settings import ImplicitSettings, OriginalSettings
from avatargen.implicit.avatar import posed_field
from avatargen.implicit.networks import ColorNetwork, SdfNetwork
from avatargen.implicit.sdf import BodyField

_CHUNK = 1 << 15
_INSIDE = 0.95
"""How much of the unit ball the body may fill."""
_RIM = 0.005
"""Metres from the border of the field within which nothing is solid, so that every surface is closed."""


class Networks(nn.Module):
    """What the optimisation changes."""

    def __init__(self, settings: OriginalSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.sdf = SdfNetwork(
            settings.width, settings.layers, settings.skip, settings.octaves, settings.radius, generator
        )
        self.color = ColorNetwork(settings.width, settings.color_width, settings.color_layers, generator)
        self.log_sharpness = nn.Parameter(torch.tensor(10.0 * settings.variance))
        self.gradient = settings.gradient

    @property
    def sharpness(self) -> Float[Tensor, ""]:
        """NeuS' s, in one over units."""
        return self.log_sharpness.exp().clamp(1e-6, 1e6)

    def look(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"], Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Distance, its gradient, style and reconstruction color at points of the unit frame; all differentiable."""
        if self.gradient == "twice" and torch.is_grad_enabled():
            distance, feature = self.sdf(points)
            free = points.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.sdf.distance(free).sum(), free, create_graph=True)
        else:
            distance, feature, gradient = self.sdf.with_gradient(points)
        style, base = self.color(points, gradient, feature)
        return distance, gradient, style, base


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkField:
    """A sculpted, painted body in the A-pose frame: callables that extraction and baking can use."""

    body: BodyField
    learned: Networks
    center: Float[Tensor, " 3"]
    """Origin of the unit frame, metres."""
    scale: float
    """Metres in one unit."""
    joints: Float[Tensor, "j 3"]
    """Joints of the posed body, metres."""

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """The box in which surfaces are looked for."""
        return self.body.bounds

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.learned.log_sharpness.device

    def to_unit(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """From metres to the frame of the networks."""
        return (points - self.center) / self.scale

    def distance(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Signed distance, metres, negative inside; differentiable in what was learned and in the points."""
        return self.scale * self.learned.sdf.distance(self.to_unit(points))

    def gradient(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Exact gradient of the distance; differentiable in what was learned."""
        return self.learned.sdf.with_gradient(self.to_unit(points))[2]

    @torch.no_grad()
    def sdf(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Signed distance of any number of points, in chunks, cut off at the border; not differentiable."""

        def cut(part: Tensor) -> Tensor:
            low, high = self.bounds.to(part)
            beyond = torch.maximum(low + _RIM - part, part - high + _RIM).amax(-1)
            return torch.maximum(self.distance(part), beyond)

        return self._chunked(cut, points, ())

    @torch.no_grad()
    def color(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Style colors, sRGB in 0..1; for baking."""
        return self._chunked(lambda part: self.learned.look(self.to_unit(part))[2], points, (3,))

    @torch.no_grad()
    def normals(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Unit normals."""
        return torch.nn.functional.normalize(self._chunked(self.gradient, points, (3,)), dim=-1)

    def _chunked(self, work: Callable[[Tensor], Tensor], points: Tensor, shape: tuple[int, ...]) -> Tensor:
        parts = [work(part) for part in points.to(self.device).split(_CHUNK)]
        return torch.cat(parts) if parts else points.new_zeros(0, *shape)

    def state(self) -> dict[str, Tensor]:
        """Everything learned, by name."""
        return {name: value.detach().clone() for name, value in self.learned.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self.learned.load_state_dict(dict(state))


def build_network_field(
    body: BodyModel,
    betas: Float[Tensor, " n"],
    settings: ImplicitSettings,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> NetworkField:
    """A new field around the coarse body: a sphere with random colors."""
    fixed, joints = posed_field(body.to("cpu"), betas, settings)
    low, high = fixed.surface.vertices.amin(0), fixed.surface.vertices.amax(0)
    reach = float((fixed.surface.vertices - 0.5 * (low + high)).norm(dim=1).max())
    return NetworkField(
        body=fixed.to(device),
        learned=Networks(settings.original, generator).to(device),
        center=(0.5 * (low + high)).to(device),
        scale=max(1.0, reach / _INSIDE),
        joints=joints,
    )


def start_sharpness(field: NetworkField, per_metre: float) -> None:
    """Set the sharpness of a field whose surface is known."""
    with torch.no_grad():
        field.learned.log_sharpness.fill_(math.log(per_metre * field.scale))
