"""Tells an optimisation that runs away from one that works."""

import copy
import math
from collections import deque
from statistics import median

import torch
from jaxtyping import Float
from torch import Tensor

_REMEMBERED = 20
_ENOUGH = 5
_EXPLOSION = 20.0
MOST_FAILURES = 5
"""So many times a step is repeated at a smaller rate before a stage ends with its last good state."""


class LossWatch:
    """Remembers sound losses and knows an unsound one: not finite, or many times what losses have been."""

    def __init__(self) -> None:
        self._sound: deque[float] = deque(maxlen=_REMEMBERED)
        self.failures = 0

    def sound(self, loss: float) -> bool:
        """Whether `loss` can be trusted; counts in `failures` where it cannot."""
        if math.isfinite(loss) and not self._exploded(loss):
            self._sound.append(abs(loss))
            return True
        self.failures += 1
        return False

    @property
    def hopeless(self) -> bool:
        """Whether it has failed too often to go on."""
        return self.failures > MOST_FAILURES

    def _exploded(self, loss: float) -> bool:
        return len(self._sound) >= _ENOUGH and abs(loss) > _EXPLOSION * median(self._sound) + 1e-6


def sound_step(optimizer: torch.optim.Optimizer, loss: Float[Tensor, ""]) -> float:
    """One step down `loss`, and its value; no step and a value that is not finite where it or a gradient is not."""
    value = float(loss.detach())
    if not math.isfinite(value):
        return value
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if not _finite_gradients(optimizer):
        return math.nan
    optimizer.step()
    return value


def _finite_gradients(optimizer: torch.optim.Optimizer) -> bool:
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return all(bool(torch.isfinite(grad).all()) for grad in grads)


class SafeSteps:
    """Steps of an optimiser that are taken back where they lead nowhere: for a few small tensors, on the CPU."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._watch = LossWatch()
        self._good = self._state()

    @property
    def hopeless(self) -> bool:
        """Whether it has failed too often to go on; the last good state is in place."""
        return self._watch.hopeless

    def take(self, loss: Float[Tensor, ""]) -> bool:
        """One step down `loss`; where that or its gradient is unsound, the last good state is back at half the rate."""
        self._optimizer.zero_grad()
        if self._watch.sound(float(loss.detach())):
            loss.backward()
            if _finite_gradients(self._optimizer):
                self._good = self._state()
                self._optimizer.step()
                return True
            self._watch.sound(math.nan)
        self._restore()
        for group in self._optimizer.param_groups:
            group["lr"] *= 0.5
        return False

    def finish(self) -> None:
        """Take the last step back if it led to numbers that are not finite."""
        if not all(bool(torch.isfinite(p).all()) for p in self._parameters()):
            self._restore()

    def _parameters(self) -> list[Tensor]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def _state(self) -> tuple[list[Tensor], dict]:
        return [p.detach().clone() for p in self._parameters()], copy.deepcopy(self._optimizer.state_dict()["state"])

    def _restore(self) -> None:
        values, state = self._good
        with torch.no_grad():
            for parameter, value in zip(self._parameters(), values, strict=True):
                parameter.copy_(value)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": copy.deepcopy(state), "param_groups": groups})
