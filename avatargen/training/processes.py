"""Renders shared among processes, and kept."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

Made = TypeVar("Made")


PARTS = 2
"""In which renders are made, however many processes there are: so those do not change them."""


def in_processes(work: Callable[..., Made], calls: Sequence[tuple], workers: int) -> list[Made]:
    """What `work` makes of each call's arguments, in their order, by so many processes; one is this process."""
    if workers < 2:
        return [work(*call) for call in calls]
    # Of one thread each: two such beat one process with two.
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        return [job.result() for job in [pool.submit(work, *call) for call in calls]]


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Keep arrays in an npz file, which appears whole or not at all: what is stopped here is rendered again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **arrays)
    part.replace(path)
