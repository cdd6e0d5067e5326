"""Bodies by numbers: the shape nearest to a given one that has the wanted height, weight, age, gender and muscle.

Betas are standard normal over the population, so the nearest shape in betas is also the likeliest change. Height and
weight are measured on the mesh; age, gender and muscle are read from the betas by the open body's linear map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.measure import DENSITY_KG_M3
from avatargen.body.model import BodyModel
from avatargen.body.open_body import phenotype_names, phenotypes_from_betas
from avatargen.core.errors import InputError
from avatargen.core.settings import ControlsSettings

FARTHEST = 5.5
"""Length of the betas beyond which no body goes. Of a thousand people of a 16-d normal population one is farther than
6.3; bodies at 5.5 in a direction that single controls choose still look like people."""

_RANGES = {
    "height": (1.3, 2.2),
    "weight_kg": (30.0, 200.0),
    "age": (0.0, 1.0),
    "gender": (0.0, 1.0),
    "muscle": (0.0, 1.0),
}
"""What the open body can be, one control at a time, within `FARTHEST`."""
_UNITS = {"height": " m", "weight_kg": " kg"}
_PHENOTYPES = {"age": (0.5, 1.0), "gender": (0.0, 1.0), "muscle": (0.0, 1.0)}
"""The phenotype at a control's 0 and 1. The population begins with teenagers, at half of the phenotype's own scale."""
_TOLERANCES = {"height": 0.01, "weight_kg": 1.0, "age": 0.02, "gender": 0.02, "muscle": 0.02}
"""Off by more than this, a control counts as missed."""
_STEPS = 12
"""Newton's at most; four are enough for a micrometre."""
_HALVINGS = 8
"""How finely the largest share of a wish that stays plausible is searched."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Controlled:
    """A body made to measure."""

    betas: Float[Tensor, " n"]
    reached: dict[str, float]
    """Each control that was asked for, as the body has it."""
    missed: tuple[str, ...]
    """The controls that no plausible body meets together; `reached` is as near as one comes."""


def asked_of(controls: ControlsSettings) -> dict[str, float]:
    """The controls that are set, by name."""
    return {name: value for name in _RANGES if (value := getattr(controls, name)) is not None}


def check_controls(body: BodyModel, controls: ControlsSettings) -> None:
    """Refuse what no body can have, and what this one does not know.

    Raises:
        InputError: a value outside its range, or age, gender or muscle of a body without phenotypes.
    """
    for name, value in asked_of(controls).items():
        low, high = _RANGES[name]
        option, unit = f"--{name.replace('_', '-')}", _UNITS.get(name, "")
        if not low <= value <= high:
            raise InputError(f"{option} {value:g}: it can be {low:g} to {high:g}{unit}")
        if name in _PHENOTYPES and body.kind != "open":
            instead = "; its file is chosen with --set body.gender=female" if name == "gender" else ""
            raise InputError(
                f"{option}: the {body.kind} body holds no {name}, only height and weight can be set{instead}\n"
                f"  Say it in --shape, or use the open body: --body open"
            )


def control_shape(body: BodyModel, betas: Float[Tensor, " n"], controls: ControlsSettings) -> Controlled:
    """The body nearest to `betas` that has what `controls` ask for.

    Where that body would be no plausible person, `betas` give way first (towards the average body), then the wishes
    themselves, all by the same share.

    Raises:
        InputError: as `check_controls`.
    """
    check_controls(body, controls)
    asked = asked_of(controls)
    if not asked:
        return Controlled(betas=betas, reached={}, missed=())
    measures = _Measures(body, tuple(asked))
    target = torch.tensor(list(asked.values()), dtype=torch.float64)
    found = _largest(lambda share: measures.nearest(share * betas.double().cpu(), target))
    if found is None:
        start = torch.zeros_like(betas, dtype=torch.float64, device="cpu")
        average = measures.values(start)[0]
        found = _largest(lambda share: measures.nearest(start, average + share * (target - average)))
    if found is None:
        raise ArithmeticError("the average body does not have its own measures")
    reached = dict(zip(asked, measures.values(found)[0].tolist(), strict=True))
    missed = tuple(name for name, value in asked.items() if abs(reached[name] - value) > _TOLERANCES[name])
    return Controlled(betas=found.to(betas), reached=reached, missed=missed)


def controls_of(body: BodyModel, betas: Float[Tensor, " n"]) -> dict[str, float]:
    """Every control that the body knows, as `betas` have it."""
    names = tuple(name for name in _RANGES if body.kind == "open" or name not in _PHENOTYPES)
    return dict(zip(names, _Measures(body, names).values(betas.double().cpu())[0].tolist(), strict=True))


class _Measures:
    """Controls of a body as functions of its betas, float64 on the CPU."""

    def __init__(self, body: BodyModel, names: tuple[str, ...]) -> None:
        self.names = names
        self.template = body.template.double().cpu()
        self.directions = body.shape_directions.double().cpu()
        self.faces = body.faces.cpu()
        self.rows = _phenotype_rows() if body.kind == "open" else {}

    def values(self, betas: Float[Tensor, " n"]) -> tuple[Float[Tensor, " c"], Float[Tensor, "c n"]]:
        """The controls in the order of `names`, and their derivatives."""
        betas = betas.detach().requires_grad_()
        vertices = self.template + self.directions @ betas
        found = []
        for name in self.names:
            if name == "height":
                found.append(vertices[:, 1].max() - vertices[:, 1].min())
            elif name == "weight_kg":
                a, b, c = vertices[self.faces].unbind(1)
                found.append(DENSITY_KG_M3 * (a * torch.linalg.cross(b, c)).sum() / 6)
            else:
                row, start = self.rows[name]
                found.append(row @ betas + start)
        slopes = [torch.autograd.grad(value, betas, retain_graph=True)[0] for value in found]
        return torch.stack(found).detach(), torch.stack(slopes)

    def nearest(self, start: Float[Tensor, " n"], target: Float[Tensor, " c"]) -> Float[Tensor, " n"] | None:
        """The betas nearest to `start` that have `target`, by Newton's method; None if there are no plausible ones."""
        betas = start
        for _ in range(_STEPS):
            now, slopes = self.values(betas)
            gap = target - now + slopes @ (betas - start)
            after = start + torch.linalg.lstsq(slopes, gap[:, None]).solution[:, 0]
            moved = float((after - betas).norm())
            betas = after
            if moved < 1e-6:
                break
            if not moved < 100:
                return None
        missed = (self.values(betas)[0] - target).abs() > 0.01 * target.abs().clamp_min(0.01)
        return None if bool(missed.any()) or float(betas.norm()) > FARTHEST else betas


def _phenotype_rows() -> dict[str, tuple[Float[Tensor, " n"], float]]:
    """Control -> its slope [n] and its value at the average body, on the control's own scale."""
    names = phenotype_names()
    average = phenotypes_from_betas(np.zeros(16))
    slopes = phenotypes_from_betas(np.eye(16)) - average
    rows = {}
    for control, (low, high) in _PHENOTYPES.items():
        column = names.index(control)
        slope = torch.from_numpy(np.ascontiguousarray(slopes[:, column])) / (high - low)
        rows[control] = (slope, float((average[column] - low) / (high - low)))
    return rows


def _largest(attempt: Callable[[float], Tensor | None]) -> Tensor | None:
    """The answer for the largest share in 0..1 that has one; None if not even 0 has."""
    answer = attempt(1.0)
    if answer is not None:
        return answer
    low, high = 0.0, 1.0
    answer = attempt(0.0)
    if answer is None:
        return None
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        tried = attempt(middle)
        if tried is None:
            high = middle
        else:
            low, answer = middle, tried
    return answer
