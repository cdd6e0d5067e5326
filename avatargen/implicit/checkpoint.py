"""Stop and go on exactly: everything an optimisation needs to continue bit by bit, in one safetensors file."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from avatargen.core.errors import BrokenFileError, OutputError
from avatargen.core.files import load_tensors, save_tensors


@dataclass(kw_only=True)
class Progress:
    """Where an optimisation stands; mutable on purpose."""

    learned: torch.nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    step: int = 0
    share: float = 0.0
    """How much of the way lies behind, 0..1."""
    rate: float = 1.0
    """Factor on all learning rates; halved after each failure."""
    told: list[tuple[float, float]] = field(default_factory=list)
    """Loss and score of each step that was taken, so that the curves of a run that was killed are whole."""
    taught: list[float] = field(default_factory=list)
    """Loss of each step before the first one, where a field is taught the body to begin with."""


def _pack(progress: Progress) -> dict[str, Tensor]:
    tensors = {f"learned.{name}": value for name, value in progress.learned.state_dict().items()}
    for number, state in progress.optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors["generator"] = progress.generator.get_state()
    tensors["step"] = torch.tensor(progress.step)
    tensors["rate"] = torch.tensor(progress.rate, dtype=torch.float64)
    return {name: value.detach().clone() for name, value in tensors.items()}


def _unpack(progress: Progress, tensors: dict[str, Tensor]) -> None:
    learned = {name.removeprefix("learned."): v for name, v in tensors.items() if name.startswith("learned.")}
    progress.learned.load_state_dict(learned)
    adam: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, number, key = name.split(".")
            adam.setdefault(int(number), {})[key] = value
    whole = progress.optimizer.state_dict()
    progress.optimizer.load_state_dict({"state": adam, "param_groups": whole["param_groups"]})
    progress.generator.set_state(tensors["generator"])
    progress.step = int(tensors["step"])
    progress.rate = float(tensors["rate"])


class Memory:
    """The last state known to be good, kept in memory.

    A state is only proposed at first: whether the step that led to it was any good, the next loss tells.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._kept = _pack(progress)
        self._proposed: dict[str, Tensor] | None = None

    def propose(self) -> None:
        """The present state is good if its loss turns out to be."""
        self._proposed = _pack(self._progress)

    def confirm(self) -> None:
        """What was proposed is good."""
        self._kept, self._proposed = self._proposed or self._kept, None

    def restore(self, rate: float) -> None:
        """Go back to the kept state, with another factor on the learning rates."""
        self._proposed = None
        step = self._progress.step
        generator = self._progress.generator.get_state()
        _unpack(self._progress, self._kept)
        # Going on with the same draws would fail in the same place.
        self._progress.generator.set_state(generator)
        self._progress.step, self._progress.rate = step, rate


def save(path: Path, progress: Progress, key: str) -> None:
    """Write the whole state; `key` names what is being optimised.

    Raises:
        OutputError: the folder is gone, or cannot be written.
    """
    if not path.parent.is_dir():
        raise OutputError(
            f"{path.parent} was deleted or moved while the run was writing into it\n  Start the same command again."
        )
    told = torch.tensor(progress.told, dtype=torch.float64).reshape(-1, 2)
    curves = {"told": told, "taught": torch.tensor(progress.taught, dtype=torch.float64)}
    save_tensors(path, _pack(progress) | curves, {"key": key})


def resume(path: Path, progress: Progress, key: str) -> bool:
    """Continue from a file if there is one for the same `key`; True if so.

    Raises:
        BrokenFileError: the file is damaged.
    """
    if not path.exists():
        return False
    tensors, metadata = load_tensors(path)
    if metadata.get("key") != key:
        return False
    try:
        _unpack(progress, tensors)
        progress.told = [(loss, score) for loss, score in tensors["told"].tolist()]
        progress.taught = tensors["taught"].tolist()
    except (KeyError, ValueError, RuntimeError) as error:
        raise BrokenFileError(
            f"{path} does not hold a whole checkpoint: {error}\n  Delete it to start this stage anew."
        ) from error
    return True
