import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatargen.core import stopping
from avatargen.core.errors import InputError
from avatargen.core.locks import locked
from avatargen.core.progress import Silent
from avatargen.core.runs import (
    check_text,
    finished_stage,
    pack_motion,
    pack_rigged,
    pack_shape,
    slug,
    unpack_motion,
    unpack_rigged,
    unpack_shape,
)
from avatargen.core.values import Mesh, Motion, RiggedMesh, Shape, Skeleton


def test_a_slug_reads_like_its_texts():
    assert slug("tall", "Saitama", "punching") == "tall-saitama-punching"


@given(st.text(min_size=1, max_size=200))
def test_a_slug_is_a_safe_folder_name_of_bounded_length(text):
    name = slug(text)
    assert name
    assert len(name) <= 70
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_texts_that_lose_characters_keep_folders_of_their_own():
    assert slug("さいたま") != slug("ごくう")
    assert slug("x" * 100) != slug("x" * 101)


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("  \n ", "empty"), ("x" * 10_000, "10000 characters"), ("a\x00b", "control")]
)
def test_a_bad_text_is_an_input_error(text, words):
    with pytest.raises(InputError, match=words):
        check_text("shape", text)


def test_white_space_is_tidied():
    assert check_text("shape", "  very \n tall ") == "very tall"
    assert check_text("shape", None) is None


def triangle():
    mesh = Mesh(
        vertices=np.eye(3, dtype=np.float32),
        faces=np.array([[0, 1, 2]]),
        uvs=np.eye(3, 2, dtype=np.float32),
        uv_faces=np.array([[0, 1, 2]]),
        texture=np.full((2, 2, 3), 7, dtype=np.uint8),
    )
    skeleton = Skeleton(names=("a", "b"), parents=(-1, 0), joints=np.zeros((2, 3), dtype=np.float32))
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32))


def test_values_survive_packing():
    rigged = triangle()
    back = unpack_rigged(*pack_rigged(rigged))
    np.testing.assert_array_equal(back.mesh.vertices, rigged.mesh.vertices)
    np.testing.assert_array_equal(back.mesh.texture, rigged.mesh.texture)
    np.testing.assert_array_equal(back.weights, rigged.weights)
    assert back.mesh.vertex_colors is None
    assert back.skeleton.names == rigged.skeleton.names
    motion = Motion(
        rotations=np.tile(np.eye(3, dtype=np.float32), (4, 2, 1, 1)),
        root_position=np.ones((4, 3), dtype=np.float32),
        rest_root_height=0.9,
        joint_names=("a", "b"),
        fps=30.0,
        name="punch",
    )
    moved = unpack_motion(*pack_motion(motion))
    np.testing.assert_array_equal(moved.rotations, motion.rotations)
    assert (moved.fps, moved.name, moved.contacts) == (30.0, "punch", None)
    other = Shape(betas=np.ones(3, dtype=np.float32), body="open-1", score=0.1)
    shape = Shape(
        betas=np.zeros(3, dtype=np.float32), body="open-1", score=0.5, candidates=(other,), measures={"height": 1.8}
    )
    again = unpack_shape(*pack_shape(shape))
    assert (again.score, again.measures, again.candidates[0].score) == (0.5, {"height": 1.8}, 0.1)
    np.testing.assert_array_equal(again.candidates[0].betas, other.betas)


def test_a_finished_stage_is_taken_again_only_for_the_same_inputs(tmp_path):
    made = []

    def run(key, resume, stop=False):
        def make():
            made.append(key)
            if stop:
                stopping.ask()
                stopping.leave("half of it")
            return triangle()

        with locked(tmp_path) as hold:
            return finished_stage(
                hold,
                "avatar",
                key,
                resume=resume,
                make=make,
                pack=pack_rigged,
                unpack=unpack_rigged,
                reporter=Silent(),
            )[1]

    run("k1", True)
    run("k1", True)
    assert made == ["k1"]
    run("k2", True)
    run("k2", False)
    assert made == ["k1", "k2", "k2"]
    (tmp_path / ".work" / "avatar.safetensors").write_bytes(b"broken")
    run("k2", True)
    assert made == ["k1", "k2", "k2", "k2"]
    assert run("k3", True, stop=True) != "k3"
    stopping.forget()
    assert run("k3", True) == "k3"
    assert made[4:] == ["k3", "k3"]
