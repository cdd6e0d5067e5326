import numpy as np
import pytest
import trimesh

from avatargen.core.values import Mesh
from avatargen.mesh.clean import (
    component_count,
    decimate,
    face_areas,
    is_closed,
    largest_component,
    mend,
    smooth,
    snap,
    vertex_normals,
)
from avatargen.mesh.magnify import Focus, magnify, unmagnify


def mesh_of(made):
    return Mesh(vertices=np.asarray(made.vertices, dtype=np.float32), faces=np.asarray(made.faces, dtype=np.int64))


def ball(subdivisions=4, radius=0.3, center=(0, 0, 0)):
    made = trimesh.creation.icosphere(subdivisions, radius=radius)
    made.apply_translation(center)
    return made


def test_the_largest_component_is_the_one_with_the_most_area_not_the_most_faces():
    small, large = ball(4, 0.05, (1, 0, 0)), ball(2, 0.3)
    kept = largest_component(mesh_of(trimesh.util.concatenate([small, large])))
    assert len(kept.faces) == len(large.faces)
    assert face_areas(kept).sum() == pytest.approx(large.area, rel=1e-5)
    assert component_count(mesh_of(trimesh.util.concatenate([small, large]))) == 2


def test_decimation_reaches_its_budget_and_stays_closed():
    before = mesh_of(ball(5))
    after = decimate(before, 2000)
    assert len(after.faces) <= 2000
    assert is_closed(after)
    assert component_count(after) == 1
    assert np.abs(np.linalg.norm(after.vertices, axis=1) - 0.3).max() < 0.002
    assert decimate(after, 5000) is after


def test_a_focus_keeps_more_faces():
    before = mesh_of(ball(5))
    focus = (Focus(center=(0.0, 0.3, 0.0), radius=0.1, gain=3.0),)

    def near_top(mesh):
        return int((mesh.vertices[mesh.faces].mean(1)[:, 1] > 0.25).sum())

    plain, focused = decimate(before, 3000), decimate(before, 3000, focus)
    assert near_top(focused) > 1.4 * near_top(plain)
    assert np.abs(np.linalg.norm(focused.vertices, axis=1) - 0.3).max() < 0.003


def test_two_tetrahedra_that_share_an_edge_are_taken_apart():
    # Four faces meet in the edge 0-1: closed by counting, but no manifold.
    vertices = np.array([[0, 0, 0], [0, 1, 0], [1, 0.5, 0.3], [1, 0.5, -0.3], [-2, 0.5, 0.6], [-2, 0.5, -0.6]])
    one = np.array([[0, 1, 2], [1, 0, 3], [0, 2, 3], [1, 3, 2]])
    two = np.array([[1, 0, 4], [0, 1, 5], [0, 5, 4], [1, 4, 5]])
    pinched = Mesh(vertices=vertices.astype(np.float32), faces=np.concatenate([one, two]))
    assert not is_closed(pinched)
    mended = mend(pinched)
    shell = trimesh.Trimesh(mended.vertices, mended.faces, process=False)
    assert shell.is_watertight
    assert len(mended.faces) == 4
    assert abs(shell.volume) > 0.1


def test_faces_that_lie_back_to_back_vanish_and_what_they_leave_is_closed():
    made = mesh_of(ball(2))
    extra = made.faces[:1, ::-1]
    doubled = Mesh(vertices=made.vertices, faces=np.concatenate([made.faces, made.faces[:1], extra]))
    done = mend(doubled)
    assert len(done.faces) == len(made.faces)
    assert is_closed(done)


def test_small_holes_are_closed_and_large_ones_stay():
    made = mesh_of(ball(3))
    few = (made.faces != made.vertices[:, 1].argmax()).all(1)
    many = made.vertices[made.faces].mean(1)[:, 1] < 0.2
    small = Mesh(vertices=made.vertices, faces=made.faces[few])
    assert 4 < (~few).sum() < 7
    assert is_closed(mend(small))
    assert trimesh.Trimesh(mend(small).vertices, mend(small).faces).volume == pytest.approx(ball(3).volume, rel=0.01)
    assert not is_closed(mend(Mesh(vertices=made.vertices, faces=made.faces[many])))


def test_smoothing_takes_off_noise_and_keeps_the_volume():
    made = ball(4)
    rng = np.random.default_rng(0)
    rough = Mesh(
        vertices=(made.vertices * (1 + 0.01 * rng.normal(size=(len(made.vertices), 1)))).astype(np.float32),
        faces=np.asarray(made.faces),
    )
    done = smooth(rough, 10)
    before, after = (np.linalg.norm(m.vertices, axis=1).std() for m in (rough, done))
    assert after < 0.4 * before
    volume = trimesh.Trimesh(done.vertices, done.faces, process=False).volume
    assert volume == pytest.approx(made.volume, rel=0.01)
    assert smooth(rough, 0) is rough


def test_snapping_puts_vertices_onto_the_surface_but_not_too_far():
    rough = mesh_of(ball(3, 0.301))
    on = snap(rough, lambda points: points.norm(dim=-1) - 0.3, 0.003)
    assert np.abs(np.linalg.norm(on.vertices, axis=1) - 0.3).max() < 1e-4
    short = snap(rough, lambda points: points.norm(dim=-1) - 0.2, 0.003)
    assert np.abs(np.linalg.norm(short.vertices, axis=1) - 0.298).max() < 1e-4


def test_normals_point_away_from_the_middle_of_a_ball():
    made = mesh_of(ball(3))
    outward = made.vertices / np.linalg.norm(made.vertices, axis=1, keepdims=True)
    assert (vertex_normals(made) * outward).sum(1).min() > 0.999


@pytest.mark.parametrize("gain", [1.0, 1.8, 4.0])
def test_magnifying_can_be_undone_and_enlarges_the_middle_by_the_gain(gain):
    focus = (
        Focus(center=(0.0, 0.6, 0.0), radius=0.12, gain=gain),
        Focus(center=(0.5, 0.0, 0.1), radius=0.08, gain=gain),
    )
    points = np.random.default_rng(0).uniform(-1, 1, size=(2000, 3))
    np.testing.assert_allclose(unmagnify(magnify(points, focus), focus), points, atol=1e-5)
    pair = np.array([[0.0, 0.6, 0.0], [0.05, 0.6, 0.0]])
    assert np.linalg.norm(np.diff(magnify(pair, focus[:1]), axis=0)) == pytest.approx(0.05 * gain, rel=1e-3)


def test_a_focus_that_shrinks_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Focus(center=(0.0, 0.0, 0.0), radius=0.1, gain=0.5)
