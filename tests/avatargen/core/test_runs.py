import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatargen.core.errors import InputError, OutputError
from avatargen.core.progress import Silent
from avatargen.core.runs import (
    check_text,
    finished_stage,
    locked,
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


def test_a_second_run_in_the_same_folder_is_refused_and_a_dead_one_does_not_block(tmp_path):
    code = f"""
import sys
from pathlib import Path
from avatargen.core.runs import locked
with locked(Path({str(tmp_path)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(OutputError, match="another run"), locked(tmp_path):
        pass
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--out"), locked(tmp_path / "file" / "run"):
        pass


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

    def run(key, resume):
        def make():
            made.append(key)
            return triangle()

        return finished_stage(
            tmp_path,
            "avatar",
            key,
            resume=resume,
            make=make,
            pack=pack_rigged,
            unpack=unpack_rigged,
            reporter=Silent(),
        )

    run("k1", True)
    run("k1", True)
    assert made == ["k1"]
    run("k2", True)
    run("k2", False)
    assert made == ["k1", "k2", "k2"]
    (tmp_path / ".work" / "avatar.safetensors").write_bytes(b"broken")
    run("k2", True)
    assert made == ["k1", "k2", "k2", "k2"]
