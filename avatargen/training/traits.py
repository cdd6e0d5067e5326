"""Body traits that words name, in standard deviations over the open body's population."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float

from avatargen.body.measure import measure_many
from avatargen.body.model import BodyModel
from avatargen.body.open_body import phenotype_names, phenotypes_from_betas
from avatargen.body.posing import shape_body
from avatargen.core.rng import numpy_stream

_GIRTHS = ("chest_girth", "waist_girth", "hip_girth", "thigh_girth")


def raw_traits(body: BodyModel, betas: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b traits"]:
    """Unstandardised traits, in the order of `TRAITS`."""
    rows = []
    for start in range(0, len(betas), 64):
        chunk = torch.from_numpy(np.ascontiguousarray(betas[start : start + 64], dtype=np.float32))
        with torch.no_grad():
            vertices, joints = shape_body(body, chunk)
        names, table = measure_many(
            vertices.double().numpy(), body.faces.numpy(), body.weights.numpy(), joints.double().numpy()
        )
        m = {name: table[:, i] for i, name in enumerate(names)}
        p = dict(zip(phenotype_names(), phenotypes_from_betas(betas[start : start + 64]).T, strict=True))
        height = m["height"]
        rows.append(
            np.stack(
                [
                    height,
                    sum(m[name] for name in _GIRTHS),
                    p["muscle"],
                    p["gender"],
                    p["age"],
                    m["shoulder_width"] / height,
                    m["leg_length"] / height,
                    m["hip_girth"] / height,
                    m["waist_girth"] / height,
                    m["head_height"] / height,
                ],
                axis=1,
            )
        )
    return np.concatenate(rows)


@lru_cache(maxsize=4)
def scale_of(body: BodyModel, seed: int = 0, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the raw traits over `count` bodies of the population."""
    betas = numpy_stream(seed, "traits").normal(0, 1, (count, body.num_betas)).astype(np.float32)
    raw = raw_traits(body, betas)
    return raw.mean(0), raw.std(0)


def traits_of(body: BodyModel, betas: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b traits"]:
    """Standardised traits, in the order of `avatargen.guidance.embedded.slots.TRAITS`; float32."""
    mean, std = scale_of(body)
    return ((raw_traits(body, betas) - mean) / std).astype(np.float32)
