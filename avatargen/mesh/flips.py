"""Edges turned where a triangle would be torn: the other diagonal of the same two triangles often stretches far less.

Decimation leaves slivers half a millimetre high in crotch and armpits, where weights change fastest; a wide pose opens
them twentyfold though the skin around them hardly stretches. A dozen flips in twenty thousand take them away.
"""

import numpy as np
from jaxtyping import Float, Integer

LIMIT = 5.0
"""Growth of a triangle's area above which its edges are tried."""
_GAIN = 0.8
"""The new pair's growth over the old one's, at most."""
_FOLD = 0.5
"""Least cosine between a new triangle and the mean of the old ones."""
_GAP = 0.002
"""Metres between the two diagonals, at most: no edge of the shape is cut off."""
_ROUNDS = 20
_NONE = 1e-12


def calm_faces(
    rest: Float[np.ndarray, "v 3"], posed: Float[np.ndarray, "p v 3"], faces: Integer[np.ndarray, "f 3"]
) -> Integer[np.ndarray, "f 3"]:
    """`faces` with edges flipped wherever that lessens the growth of a triangle beyond `LIMIT` in one of the poses.

    The surface stays closed and keeps its vertices; flat or nearly flat pairs alone are touched.

    Args:
        rest: vertices in the rest pose, metres.
        posed: the same in some poses.
        faces: of a closed surface, counter-clockwise from outside.
    """
    work = _Flipper(np.concatenate([rest[None], posed]), faces)
    for _ in range(_ROUNDS):
        growth = work.growth(work.faces)
        bad = np.flatnonzero(growth > LIMIT)
        if not sum(work.improve(int(face)) for face in bad[np.argsort(-growth[bad], kind="stable")]):
            break
    return work.faces


def growth_of_faces(
    rest: Float[np.ndarray, "v 3"], posed: Float[np.ndarray, "p v 3"], faces: Integer[np.ndarray, "f 3"]
) -> Float[np.ndarray, " f"]:
    """The largest area of each face in the poses, over that at rest."""
    return _growth(np.concatenate([rest[None], posed]), faces)


class _Flipper:
    """Faces and who owns each directed edge, kept true while edges are flipped."""

    def __init__(self, points: np.ndarray, faces: np.ndarray) -> None:
        self.points, self.faces = points, faces.copy()
        self.owner = {edge: row for row, face in enumerate(faces.tolist()) for edge in _edges(face)}

    def growth(self, faces: np.ndarray) -> np.ndarray:
        return _growth(self.points, faces)

    def improve(self, row: int) -> bool:
        """Flip the edge of a face that helps most, if one does."""
        face = self.faces[row].tolist()
        if self.growth(self.faces[[row]])[0] <= LIMIT:
            return False
        best: tuple[float, int, np.ndarray] | None = None
        for start, end, apex in (face, face[1:] + face[:1], face[2:] + face[:2]):
            other = self.owner.get((end, start))
            if other is None:
                continue
            across = next(corner for corner in self.faces[other].tolist() if corner not in (start, end))
            if (apex, across) in self.owner or (across, apex) in self.owner:
                continue
            old, new = self.faces[[row, other]], np.array([[apex, start, across], [across, end, apex]])
            after = float(self.growth(new).max())
            better = after < _GAIN * float(self.growth(old).max()) and (best is None or after < best[0])
            if better and self._lies_flat(old, new):
                best = after, other, new
        if best is None:
            return False
        _, other, new = best
        for edge in (edge for index in (row, other) for edge in _edges(self.faces[index].tolist())):
            del self.owner[edge]
        for index, corners in zip((row, other), new, strict=True):
            self.faces[index] = corners
            self.owner |= dict.fromkeys(_edges(corners.tolist()), index)
        return True

    def _lies_flat(self, old: np.ndarray, new: np.ndarray) -> bool:
        rest = self.points[0]
        apex, start, across = rest[new[0]]
        along, over = rest[new[1][1]] - start, across - apex
        both = np.cross(along, over)
        if abs((start - apex) @ both) > _GAP * np.linalg.norm(both):
            return False
        mean = _area_vectors(self.points[:1], old)[0].sum(0)
        fresh = _area_vectors(self.points[:1], new)[0]
        return bool((fresh @ mean >= _FOLD * np.linalg.norm(fresh, axis=1) * np.linalg.norm(mean)).all())


def _edges(face: list[int]) -> list[tuple[int, int]]:
    a, b, c = face
    return [(a, b), (b, c), (c, a)]


def _area_vectors(points: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, "p f 3"]:
    a, b, c = (points[:, faces[:, corner]] for corner in range(3))
    return 0.5 * np.cross(b - a, c - a)


def _growth(points: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, " f"]:
    """Of the later rows over the first."""
    areas = np.linalg.norm(_area_vectors(points, faces), axis=-1)
    return areas[1:].max(0) / np.maximum(areas[0], _NONE)
