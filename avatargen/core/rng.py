"""Named random streams: a new draw in one stage leaves the results of the others alone."""

import hashlib

import numpy as np
import torch


def _digest(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=7).digest(), "big")


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator that depends only on `seed` and `name`."""
    return torch.Generator(device=device).manual_seed(_digest(seed, name))


def numpy_stream(seed: int, name: str) -> np.random.Generator:
    """A NumPy generator that depends only on `seed` and `name`."""
    return np.random.default_rng(_digest(seed, name))
