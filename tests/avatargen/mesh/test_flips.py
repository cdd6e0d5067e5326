"""Edges flip where a pose tears a sliver open, and nowhere else."""

import numpy as np
import pytest
import trimesh

from avatargen.core.values import Mesh
from avatargen.mesh.clean import is_closed
from avatargen.mesh.flips import calm_faces, growth_of_faces

TORN = np.array([[0, 0, 0], [0.04, 0, 0], [0.02, 0.0005, 0], [0.02, -0.02, 0]])
FACES = np.array([[0, 1, 2], [1, 0, 3]])
"""A sliver half a millimetre high on the long side of a good triangle."""


def pulled(points: np.ndarray, vertex: int, way: tuple[float, float, float]) -> np.ndarray:
    out = points.copy()
    out[vertex] += way
    return out[None]


def test_a_sliver_whose_tip_is_pulled_away_gets_the_other_diagonal():
    posed = pulled(TORN, 2, (0, 0.01, 0))
    assert growth_of_faces(TORN, posed, FACES).max() == pytest.approx(21.0)
    faces = calm_faces(TORN, posed, FACES)
    assert {frozenset(face) for face in faces.tolist()} == {frozenset({0, 2, 3}), frozenset({1, 2, 3})}
    # by hand: heights over the new diagonal stay 2 cm while its length grows from 20.5 mm to 30.5 mm
    np.testing.assert_allclose(growth_of_faces(TORN, posed, faces), 30.5 / 20.5)


def test_what_hardly_stretches_stays():
    posed = pulled(TORN, 2, (0, 0.001, 0))
    np.testing.assert_array_equal(calm_faces(TORN, posed, FACES), FACES)


def test_an_edge_of_the_shape_is_not_cut_off():
    """Two triangles at a right angle, torn sevenfold: the other diagonal lies a centimetre away."""
    folded = np.array([[0, 0, 0], [0.04, 0, 0], [0.02, 0.02, 0], [0.02, 0, -0.02]])
    posed = pulled(folded, 2, (0, 0.12, 0))
    assert growth_of_faces(folded, posed, FACES).max() == pytest.approx(7.0)
    np.testing.assert_array_equal(calm_faces(folded, posed, FACES), FACES)
    flat = folded.copy()
    flat[3] = (0.02, -0.02, 0)
    posed = pulled(flat, 2, (0, 0.12, 0))
    assert (calm_faces(flat, posed, FACES) != FACES).any()


def test_a_closed_surface_stays_closed_with_its_vertices_and_its_size():
    ball = trimesh.creation.icosphere(2, 0.1)
    rng = np.random.default_rng(2)
    rest = np.array(ball.vertices) * rng.uniform(0.995, 1.005, (len(ball.vertices), 1))
    posed = (rest + rng.normal(scale=0.03, size=(2, *rest.shape))).astype(float)
    before = np.array(ball.faces)
    after = calm_faces(rest, posed, before)
    assert (after != before).any()
    assert is_closed(Mesh(vertices=rest, faces=after))
    assert len(np.unique(np.sort(after, axis=1), axis=0)) == len(before)
    assert abs(trimesh.Trimesh(rest, after).volume / trimesh.Trimesh(rest, before).volume - 1) < 0.05
    assert growth_of_faces(rest, posed, after).max() <= growth_of_faces(rest, posed, before).max()
