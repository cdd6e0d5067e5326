"""Closest places against trimesh's closest points and against geometry that has an answer."""

import numpy as np
import trimesh

from avatargen.mesh.nearest import Surface, closest_barycentric, nearest_facing


def test_closest_points_on_triangles_agree_with_trimesh():
    generator = np.random.default_rng(5)
    corners = generator.normal(size=(4000, 3, 3))
    corners[:40, 2] = corners[:40, 1]  # a needle
    corners[40:80, 1:] = corners[40:80, :1]  # a point
    points = generator.normal(size=(4000, 3)) * 1.5
    bary = closest_barycentric(points, corners)
    ours = np.einsum("nk,nkx->nx", bary, corners)
    theirs = trimesh.triangles.closest_point(corners[80:], points[80:])
    np.testing.assert_allclose(ours[80:], theirs, atol=1e-9)
    assert bary.min() >= 0
    np.testing.assert_allclose(bary.sum(1), 1, atol=1e-12)
    ends = np.linalg.norm(corners[:80] - points[:80, None], axis=-1).min(1)
    assert (np.linalg.norm(ours[:80] - points[:80], axis=1) <= ends + 1e-12).all()


def test_the_nearest_place_of_a_sphere_is_straight_below():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    surface = Surface(vertices=ball.vertices, normals=ball.vertices / 0.5, faces=ball.faces)
    directions = np.random.default_rng(0).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = nearest_facing(directions * 0.6, directions, surface)
    exact = trimesh.proximity.closest_point_naive(ball, directions * 0.6)[1]
    np.testing.assert_allclose(found.distance, exact, atol=1e-4)
    assert (found.cost >= found.distance).all()


def test_between_two_sheets_the_one_that_faces_the_same_way_wins_until_it_is_too_far():
    square = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]], dtype=float)
    up, down = np.array([[0, 2, 1], [0, 3, 2]]), np.array([[4, 5, 6], [4, 6, 7]])
    normals = np.repeat([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]], 4, axis=0)
    for gap, winner in ((0.06, 0), (0.6, 1)):
        sheets = np.concatenate((square, square + np.array([0, gap, 0])))
        surface = Surface(vertices=sheets, normals=normals, faces=np.concatenate((up, down)))
        middle = np.array([[0.1, 0.7 * gap, 0.2]])  # nearer to the upper sheet, which faces down
        found = nearest_facing(middle, np.array([[0.0, 1.0, 0.0]]), surface, candidates=14)
        assert found.face[0] // 2 == winner
        np.testing.assert_allclose(found.distance[0], 0.7 * gap if winner == 0 else 0.3 * gap, atol=1e-9)
