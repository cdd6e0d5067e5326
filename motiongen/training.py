"""Training of the shipped priors: seeded, resumable to the bit, on a CPU in minutes.

A checkpoint holds weights, their running average, the optimiser's moments, the random stream and the curve so far, so
that a run cut in two ends in the same weights as one in a piece.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from avatargen.core.errors import BrokenFileError
from avatargen.core.files import load_tensors, save_tensors
from avatargen.core.plots import new_figure, write_figure
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.rng import stream

Curve = list[dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train."""

    steps: int
    rate: float = 1e-3
    warm_up: int = 100
    decay: float = 0.01
    average: float = 0.995
    """Share of the old running average that each step keeps."""
    check_every: int = 200
    save_every: int = 200


@dataclass(kw_only=True)
class _Run:
    model: nn.Module
    optimizer: torch.optim.AdamW
    generator: torch.Generator
    average: dict[str, Tensor]
    step: int = 0
    curve: Curve = field(default_factory=list)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Fill every matrix anew from `generator` (uniform, by fan-in) and zero the biases; norms stay at one."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                bound = 1.0 / math.sqrt(parameter.shape[1])
                parameter.uniform_(-bound, bound, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()


def train(
    model: nn.Module,
    loss: Callable[[int, torch.Generator], Mapping[str, Tensor]],
    check: Callable[[nn.Module], dict[str, float]],
    plan: Plan,
    *,
    seed: int,
    checkpoint: Path | None = None,
    reporter: Reporter | None = None,
    stop_after: int | None = None,
    prepare: Callable[[], None] | None = None,
) -> Curve:
    """Minimise the sum of `loss(step, generator)` and leave the averaged weights in `model`.

    Args:
        model: changed in place; its matrices are drawn anew from `seed`.
        loss: named parts of the loss at a step; draws only from the generator it is given.
        check: held-out figures of the model, called in evaluation mode with the averaged weights.
        plan: steps, rate and so on; the same plan is needed to resume.
        seed: of the initial weights and of everything drawn.
        checkpoint: where to save and, if it exists, where to resume from.
        reporter: told of each step.
        prepare: called once after the matrices are drawn, to set some by other means.
        stop_after: end after so many steps in all, as if the run had been cut off (for tests and time limits).

    Returns:
        The curve: one row per check, the first before any step, with `step`, the parts of the loss and the held-out
        figures.

    Raises:
        BrokenFileError: the checkpoint is damaged or belongs to another model.
    """
    reporter = reporter or Silent()
    run = _start(model, seed, plan, prepare)
    if checkpoint is not None and checkpoint.is_file():
        _resume(run, checkpoint)
        reporter.note(f"training: resumed {checkpoint} at step {run.step}")
    if run.step == 0:
        run.curve.append({"step": 0.0, **_checked(run, check)})
    end = plan.steps if stop_after is None else min(plan.steps, stop_after)
    with stage(reporter, "training", plan.steps):
        reporter.step(run.step)
        while run.step < end:
            parts = _step(run, loss, plan)
            values = {"loss": sum(parts.values())}
            if run.step % plan.check_every == 0 or run.step == plan.steps:
                run.curve.append({"step": float(run.step), **parts, **_checked(run, check)})
                reporter.note("  ".join(f"{key} {value:.4g}" for key, value in run.curve[-1].items()))
            if checkpoint is not None and (run.step % plan.save_every == 0 or run.step == end):
                _save(run, checkpoint)
            reporter.step(1, **values)
    with torch.no_grad():
        model.load_state_dict(run.average)
    model.eval()
    return run.curve


def _start(model: nn.Module, seed: int, plan: Plan, prepare: Callable[[], None] | None) -> _Run:
    initialise(model, stream(seed, "training/weights"))
    if prepare is not None:
        prepare()
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=plan.decay)
    average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return _Run(model=model, optimizer=optimizer, generator=stream(seed, "training/data"), average=average)


def _step(run: _Run, loss: Callable[[int, torch.Generator], Mapping[str, Tensor]], plan: Plan) -> dict[str, float]:
    run.model.train()
    for module in run.model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()  # dropout draws from the global stream, which no seed of ours reaches
    warm = min(1.0, (run.step + 1) / plan.warm_up)
    rate = plan.rate * warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * run.step / plan.steps)))
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    parts = loss(run.step, run.generator)
    run.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(parts.values())).sum().backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.step += 1
    # Early on the average would drag the initial weights along.
    keep = min(plan.average, (1.0 + run.step) / (10.0 + run.step))
    with torch.no_grad():
        for name, tensor in run.model.state_dict().items():
            if tensor.is_floating_point():
                run.average[name].lerp_(tensor, 1.0 - keep)
            else:
                run.average[name].copy_(tensor)
    return {name: float(value.detach()) for name, value in parts.items()}


def _checked(run: _Run, check: Callable[[nn.Module], dict[str, float]]) -> dict[str, float]:
    kept = {name: tensor.detach().clone() for name, tensor in run.model.state_dict().items()}
    run.model.load_state_dict(run.average)
    run.model.eval()
    with torch.no_grad():
        figures = check(run.model)
    run.model.load_state_dict(kept)
    return figures


def _save(run: _Run, path: Path) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in run.average.items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"moments.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors["generator"] = run.generator.get_state()
    save_tensors(path, tensors, {"step": str(run.step), "curve": json.dumps(run.curve)})


def _resume(run: _Run, path: Path) -> None:
    tensors, metadata = load_tensors(path)

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    try:
        run.model.load_state_dict(under("model."))
        run.average = under("average.")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in under("moments.").items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        run.optimizer.load_state_dict({**run.optimizer.state_dict(), "state": moments})
        run.generator.set_state(tensors["generator"])
        run.step, run.curve = int(metadata["step"]), json.loads(metadata["curve"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise BrokenFileError(
            f"{path} is not a checkpoint of this training: {error}\n  Delete it to start anew."
        ) from error


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> Path:
    """Write a model's weights as 16-bit floats."""
    halves = {n: t.half() if t.is_floating_point() else t for n, t in model.state_dict().items()}
    return save_tensors(path, halves, metadata)


def plot_curve(curve: Curve, keys: tuple[str, ...], title: str, path: Path) -> Path:
    """Draw held-out figures over the steps as a PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(3.2 * len(keys), 2.8)
    for index, key in enumerate(keys):
        axes = figure.add_subplot(1, len(keys), index + 1)
        rows = [row for row in curve if key in row]
        axes.plot([row["step"] for row in rows], [row[key] for row in rows])
        axes.set(title=key, xlabel="step", yscale="log")
        axes.grid(visible=True, which="both", alpha=0.3)
    figure.suptitle(title)
    return write_figure(figure, path)
