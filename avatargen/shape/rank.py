"""Where a body stands among others: percentiles of its measures, and of traits where the body knows them."""

import contextlib
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float

from avatargen.body.measure import MEASURES, measure_many
from avatargen.body.model import BodyModel
from avatargen.body.open_body import phenotype_names, phenotypes_from_betas, population
from avatargen.body.posing import shape_body
from avatargen.core.errors import BrokenFileError, OutputError
from avatargen.core.files import cache_dir, load_tensors, save_tensors
from avatargen.core.rng import stream

_TRAITS = ("gender", "age", "muscle")
_DRAWN = 120
"""Bodies measured for a body model whose population is not known: a percentile is then right within about 5."""


def percentiles(body: BodyModel, measures: dict[str, float]) -> dict[str, float]:
    """Share (0..100) of the population below each measure.

    The open body's population is that of its making. That of any other body is drawn by its betas, which are
    standard normal by SMPL's convention; that takes seconds once and is kept in the cache.
    """
    known = {name: value for name, value in measures.items() if name in MEASURES}
    if body.kind == "open":
        table = population()
        return {name: _between(value, table[name]) for name, value in known.items()}
    drawn = _drawn_measures(body)
    return {name: 100.0 * float((drawn[:, MEASURES.index(name)] < value).mean()) for name, value in known.items()}


def _between(value: float, row: dict[str, float]) -> float:
    """The percentile of a value in a table of few: straight lines between normal scores, which bend least."""
    normal = NormalDist()
    percents = sorted(int(name[1:]) for name in row if name[0] == "p")
    scores = np.array([normal.inv_cdf(p / 100) for p in percents])
    marks = np.array([row[f"p{p}"] for p in percents])
    low, high = value < marks[0], value > marks[-1]
    if low or high:  # beyond the table a body is as rare as a Gaussian with the population's deviation says
        edge, score = (marks[0], scores[0]) if low else (marks[-1], scores[-1])
        return 100.0 * normal.cdf(float(score + (value - edge) / row["std"]))
    return 100.0 * normal.cdf(float(np.interp(value, marks, scores)))


def trait_percentiles(body: BodyModel, betas: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Percentiles (0..100) of gender (100 is most female), age and muscle; empty for bodies without them.

    Traits are linear in the betas, and betas are standard normal, so each is a Gaussian: nothing is drawn.
    """
    if body.kind != "open":
        return {}
    rows = phenotypes_from_betas(np.concatenate([np.zeros((1, body.num_betas)), np.eye(body.num_betas)]))
    middle, directions = rows[0], rows[1:] - rows[0]
    deviation = np.linalg.norm(directions, axis=0)
    scores = (phenotypes_from_betas(betas.astype(np.float64)) - middle) / deviation
    told = {name: 100.0 * NormalDist().cdf(float(z)) for name, z in zip(phenotype_names(), scores, strict=True)}
    return {name: told[name] for name in _TRAITS if name in told}


@lru_cache(maxsize=2)
def _drawn_measures(body: BodyModel) -> Float[np.ndarray, "b m"]:
    """Measures of bodies drawn from the betas' distribution; from the cache where they are."""
    path = cache_dir() / "shape" / f"measures-{body.kind}-{body.version}.safetensors"
    if path.is_file():
        try:
            table = load_tensors(path)[0]["measures"].numpy()
            if table.shape == (_DRAWN, len(MEASURES)):
                return table
        except (BrokenFileError, KeyError):
            pass  # made again below
    betas = torch.randn(_DRAWN, body.num_betas, generator=stream(0, "shape/rank"))
    vertices, joints = shape_body(body.to("cpu"), betas)
    _, table = measure_many(
        vertices.double().numpy(), body.faces.cpu().numpy(), body.weights.cpu().numpy(), joints.double().numpy()
    )
    with contextlib.suppress(OutputError):  # a cache that cannot be written costs time, not the run
        save_tensors(path, {"measures": torch.from_numpy(table)})
    return table
