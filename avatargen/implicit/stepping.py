"""How an optimisation is stepped: schedule, budget, early stop, failures, checkpoints."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.core.files import cache_key
from avatargen.core.progress import Reporter, Stopwatch, stage
from avatargen.core.settings import ImplicitSettings, RefineSettings
from avatargen.core.steady import LossWatch
from avatargen.core.stopping import leave
from avatargen.guidance.model import Guidance
from avatargen.implicit.checkpoint import Memory, Progress, save

_KEEP_EVERY = 10
_WINDOW, _RISE = 24, 0.001
"""Steps over which scores are averaged, for their views differ; what counts as a rise of that mean."""
_SETTLE = 0.1
"""Share of all steps in which the rates then fall to their end."""


def fit_key(
    version: int,
    description: str,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    guidance: Guidance,
    settings: ImplicitSettings,
    seed: int,
    asked: str = "",
) -> str:
    """Names what is being optimised, so that a checkpoint of something else is not taken for it."""
    return cache_key(
        version=version, description=description, body=body.version, guidance=guidance.version, seed=seed,
        settings=settings, betas=[round(float(b), 6) for b in betas], asked=asked,
    )  # fmt: skip


def run_steps(
    settings: ImplicitSettings | RefineSettings,
    progress: Progress,
    set_rates: Callable[[float], None],
    step: Callable[[], tuple[float, float]],
    reporter: Reporter,
    checkpoint: Path | None,
    key: str,
    name: str = "sculpting",
    patience: int = 0,
) -> None:
    """Take steps until they, or the time, are up, or the score has stopped to rise.

    Args:
        settings: how many, how long, how often to save.
        progress: where the optimisation stands; changed.
        set_rates: told the share of the way that lies behind, 0..1, before each step.
        step: takes one step; loss (not finite where it failed) and score.
        reporter: told both.
        checkpoint: a file to write every so many steps and at the end.
        key: names what is being optimised, for that file.
        name: of the stage, as the user is told it.
        patience: settle once the score has not risen for this many steps (`settled`); 0: never.
    """
    clock, memory, watch = Stopwatch(), Memory(progress), LossWatch()
    with stage(reporter, name, settings.steps):
        for loss, score in progress.told:  # by a run before this one
            reporter.step(loss=loss, score=score)
        while progress.step < settings.steps and not leave(f"{name} after {progress.step} of {settings.steps} steps"):
            share, why = _way(settings, progress, clock, patience)
            if share >= 1.0:
                reporter.note(f"{why}: done after {progress.step} of {settings.steps} steps")
                break
            progress.share = share
            set_rates(share)
            if progress.step % _KEEP_EVERY == 0:
                memory.propose()
            loss, score = step()
            if not watch.sound(loss):
                memory.restore(0.5 * progress.rate)
                if watch.hopeless:
                    reporter.note("the optimisation keeps failing; its last good state is used")
                    break
                reporter.note(
                    f"the loss of step {progress.step + 1} is {loss:.3g}: back to a good state, on at half the rate"
                )
                continue
            memory.confirm()
            progress.step += 1
            progress.told.append((loss, score))
            reporter.step(loss=loss, score=score)
            if checkpoint is not None and settings.checkpoint_every and progress.step % settings.checkpoint_every == 0:
                save(checkpoint, progress, key)
    if checkpoint is not None:
        save(checkpoint, progress, key)


def _way(
    settings: ImplicitSettings | RefineSettings, progress: Progress, clock: Stopwatch, patience: int
) -> tuple[float, str]:
    """How much of the way lies behind, 0..1, and what would end it before all steps are taken."""
    flat = settled([score for _, score in progress.told], patience) if patience else None
    share = share_of_way(progress.step, settings.steps, flat)
    spent = clock.seconds / (60.0 * settings.minutes) if settings.minutes > 0 else 0.0
    return (share, "the score has stopped to rise") if share > spent else (min(spent, 1.0), "time is up")


def settled(scores: Sequence[float], patience: int) -> int | None:
    """The step after which the mean of the last scores had not risen for `patience` steps; None if it still does."""
    if not 0 < patience < len(scores) - _WINDOW:
        return None
    sums = [0.0, *accumulate(scores)]
    best, since = -math.inf, 0
    for step in range(_WINDOW, len(sums)):
        mean = (sums[step] - sums[step - _WINDOW]) / _WINDOW
        if mean > best + _RISE:
            best, since = mean, step
        elif step - since >= patience:
            return step
    return None


def share_of_way(step: int, steps: int, flat: int | None) -> float:
    """How much of the way lies behind before a step, 0..1: from step `flat` on the rest of it takes a tenth of all."""
    if flat is None or step >= steps:
        return step / steps if step < steps else 1.0
    last = min(steps, flat + max(1, round(_SETTLE * steps)))
    behind = flat / steps
    return behind + (1.0 - behind) * (step - flat) / (last - flat) if step < last else 1.0


def eased(share: float) -> float:
    """Factor on rates when `share` of the way is done: up over the first 5 %, then down along a cosine to 5 %."""
    return min(1.0, (share + 0.01) / 0.05) * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * share)))
