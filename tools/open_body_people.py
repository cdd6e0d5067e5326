"""Anny's people: a population to draw from, and their bodies in our frame."""

import anny
import numpy as np
import torch

COLLAR_LIFT_DEG = 6.0
"""How far the collar bones rise from Anny's rest pose to the T-pose."""


def sample_phenotypes(model: anny.Anny, count: int, rng: np.random.Generator) -> np.ndarray:
    """A population [count, 6] in Anny's units: both sexes, teenagers to the old, thin to heavy, short to tall.

    Weight and muscle go beyond 1, which Anny extrapolates well: its own 1 is a body mass index of 24 only. Statures are
    drawn in metres and `height` is solved for, because Anny's other phenotypes change the stature, too.
    """
    sex = rng.choice([0, 1, 2], size=count, p=[0.46, 0.46, 0.08])
    near = rng.beta(1.0, 7.0, size=count)
    columns = {
        "gender": np.where(sex == 0, near, np.where(sex == 1, 1 - near, rng.random(count))),
        "age": 0.5 + 0.5 * rng.beta(1.2, 1.6, size=count),
        "muscle": 1.25 * rng.beta(1.6, 2.0, size=count),
        "weight": -0.25 + 2.2 * rng.beta(1.8, 2.6, size=count),
        "height": np.zeros(count),
        "proportions": rng.beta(2.2, 2.2, size=count),
    }
    young = np.clip((2 / 3 - columns["age"]) * 6, 0, 1)
    stature = 1.77 - 0.13 * columns["gender"] - 0.05 * young + 0.085 * rng.standard_normal(count)
    phenotypes = np.stack([columns[label] for label in model.phenotype_labels], axis=1)
    place = list(model.phenotype_labels).index("height")
    grid = np.linspace(0, 1, 5)
    heights = []
    for value in grid:
        phenotypes[:, place] = value
        heights.append(np.ptp(rest_bodies(model, phenotypes)[0][..., 1], axis=1))
    table = np.stack(heights, axis=1)
    phenotypes[:, place] = [np.interp(s, row, grid) for s, row in zip(stature, table, strict=True)]
    return phenotypes


def y_up(points: np.ndarray) -> np.ndarray:
    """From Anny's frame (Z up, facing -Y) to ours (Y up, facing +Z)."""
    return np.stack((points[..., 0], points[..., 2], -points[..., 1]), axis=-1)


def rest_bodies(model: anny.Anny, phenotypes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Anny's unposed vertices and bone heads for each row of `phenotypes`, in our frame."""
    vertices, heads = [], []
    for chunk in np.array_split(phenotypes, max(1, len(phenotypes) // 50)):
        with torch.no_grad():
            out = model(phenotype_kwargs=torch.from_numpy(chunk))
        vertices.append(y_up(out["rest_vertices"].numpy()))
        heads.append(y_up(out["rest_bone_heads"].expand(len(chunk), -1, -1).numpy()))
    return np.concatenate(vertices), np.concatenate(heads)
