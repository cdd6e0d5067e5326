"""Our own open body: baked by `tools/bake_open_body.py`, shipped with the package, free to use (CC0)."""

import io
from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import Float

from avatargen.body.model import BodyModel
from avatargen.core.files import digest_bytes

DATA_FILE = "data/open_body.npz"


@lru_cache(maxsize=1)
def _arrays() -> tuple[dict[str, np.ndarray], str]:
    data = files("avatargen.body").joinpath(DATA_FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    # Correctives act where joints bend the skin: most vertices, those of face, hands and feet among them, have none.
    arrays["posed_vertices"] = np.flatnonzero(arrays["posedirs"].any((1, 2)))
    arrays["posedirs"] = arrays["posedirs"][arrays["posed_vertices"]].astype(np.float32)
    return arrays, digest_bytes(data)


@lru_cache(maxsize=1)
def load_open_body() -> BodyModel:
    """The open body: 24 SMPL joints, 16 betas, UVs and part labels; float32 on the CPU. Loaded once per process.

    The origin is the pelvis joint, for every shape.
    """
    arrays, version = _arrays()
    return BodyModel(
        kind="open",
        version=version,
        licence=str(arrays["license"]),
        template=torch.from_numpy(arrays["v_template"]),
        shape_directions=torch.from_numpy(arrays["shapedirs"].astype(np.float32)),
        pose_directions=torch.from_numpy(arrays["posedirs"]),
        joint_regressor=torch.from_numpy(arrays["J_regressor"]),
        weights=torch.from_numpy(arrays["weights"]),
        parents=(-1, *(int(p) for p in arrays["kintree_table"][0, 1:])),
        joint_names=tuple(str(n) for n in arrays["joint_names"]),
        faces=torch.from_numpy(arrays["f"].astype(np.int64)),
        uvs=torch.from_numpy(arrays["vt"]),
        uv_faces=torch.from_numpy(arrays["ft"].astype(np.int64)),
        parts=torch.from_numpy(arrays["parts"].astype(np.int64)),
        pose_vertices=torch.from_numpy(arrays["posed_vertices"]),
    )


def mirror_map() -> np.ndarray:
    """Index [v] of each vertex's mirror image in the plane x = 0."""
    return _arrays()[0]["mirror"].astype(np.int64)


def beta_descriptions() -> tuple[str, ...]:
    """What each beta goes with, e.g. 'height +0.93': correlations with the phenotypes over the population."""
    return tuple(str(line) for line in _arrays()[0]["beta_descriptions"])


def phenotype_names() -> tuple[str, ...]:
    """The population's phenotypes: gender (0 male, 1 female), age (1/2 teenager, 2/3 adult, 1 old), muscle, ..."""
    return tuple(str(name) for name in _arrays()[0]["phenotype_names"])


def betas_from_phenotypes(phenotypes: Float[np.ndarray, "*b p"]) -> Float[np.ndarray, "*b n"]:
    """The linear guess of the betas of phenotypes (0..1, in the order of `phenotype_names`)."""
    arrays = _arrays()[0]
    return (phenotypes - arrays["phenotype_mean"]) @ arrays["betas_from_phenotypes"].T


def phenotypes_from_betas(betas: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b p"]:
    """The linear guess of the phenotypes of betas; may leave 0..1 at the rim of the population."""
    arrays = _arrays()[0]
    return betas @ arrays["phenotypes_from_betas"].T + arrays["phenotype_mean"]


def population() -> dict[str, dict[str, float]]:
    """Mean, standard deviation and percentiles ('p1' .. 'p99') of each measure over the sampled population."""
    arrays = _arrays()[0]
    out: dict[str, dict[str, float]] = {}
    for k, name in enumerate(arrays["measure_names"]):
        rows = {"mean": float(arrays["measure_mean"][k]), "std": float(arrays["measure_std"][k])}
        for percent, values in zip(arrays["measure_percents"], arrays["measure_percentiles"], strict=True):
            rows[f"p{int(percent)}"] = float(values[k])
        out[str(name)] = rows
    return out


def mask_names() -> tuple[str, ...]:
    """What the columns of `surface_masks` mark: lips, ears, eyelids, nails, the inside of the mouth."""
    return tuple(str(name) for name in _arrays()[0]["mask_names"])


def surface_masks() -> Float[torch.Tensor, "v m"]:
    """How much each vertex belongs to each of `mask_names`, 0..1."""
    return torch.from_numpy(_arrays()[0]["masks"].astype(np.float32) / 255)
