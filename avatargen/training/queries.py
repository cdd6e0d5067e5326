"""The pictures by which bodies are compared with words, and the traits they show."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from avatargen.body.open_body import load_open_body
from avatargen.core.rng import numpy_stream
from avatargen.shape.query import query_vertices, render_query
from avatargen.training.processes import PARTS, in_processes, save_arrays
from avatargen.training.traits import traits_of


def render_queries(
    seed: int, name: str, bodies: int
) -> tuple[UInt8[np.ndarray, "b 4 128 128 3"], Float[np.ndarray, "b traits"]]:
    """Query pictures of random bodies, and their traits."""
    body = load_open_body()
    generator = numpy_stream(seed, f"queries/{name}")
    betas = np.clip(generator.normal(0, 1.2, (bodies, body.num_betas)), -3, 3).astype(np.float32)
    images = []
    with torch.no_grad():
        for row in torch.from_numpy(betas):
            picture = render_query(body, query_vertices(body, row[None]))[0]
            images.append((picture.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy())
    return np.stack(images), traits_of(body, betas)


def make_queries(path: Path, seed: int, bodies: int, workers: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Query pictures kept in `path` (npz), rendered when they are not there yet."""
    if not path.exists():
        share = -(-bodies // PARTS)
        calls = [(seed, f"{path.stem}/{i}", share) for i in range(PARTS)]
        parts = in_processes(render_queries, calls, workers)
        save_arrays(path, images=np.concatenate([p[0] for p in parts]), traits=np.concatenate([p[1] for p in parts]))
    with np.load(path, allow_pickle=False) as archive:
        return archive["images"], archive["traits"]
