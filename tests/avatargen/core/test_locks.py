import os
import shutil
import subprocess
import sys

import pytest

from avatargen.core.errors import OutputError
from avatargen.core.files import write_whole
from avatargen.core.locks import locked


def test_a_second_run_in_the_same_folder_is_refused_and_a_dead_one_does_not_block(tmp_path):
    code = f"""
import sys
from pathlib import Path
from avatargen.core.locks import locked
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


def test_what_a_killed_process_left_half_written_is_cleared_and_nothing_else(tmp_path):
    for name in (
        ".avatar.glb.k2_x9abc.part",
        ".controls.abcdefgh.part/new/0.png",
        ".work/.avatar.safetensors.a1b2c3d4.part",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    mine = [".download.part", "scene.part", ".notes.of.mine.part", "avatar.glb"]
    for name in mine:
        (tmp_path / name).write_bytes(b"whole")
    with locked(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, ".work"])
        assert [path.name for path in (tmp_path / ".work").iterdir()] == ["lock"]


def test_the_names_of_unfinished_files_are_those_that_are_cleared(tmp_path, monkeypatch):
    def die(handle):
        raise KeyboardInterrupt  # what write_whole does not clear up

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "avatar.glb", b"data")
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    with locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".work"]


def test_a_folder_that_vanishes_or_is_replaced_is_noticed(tmp_path):
    folder = tmp_path / "run"
    with locked(folder) as hold:
        hold.check()
        shutil.rmtree(folder)
        with pytest.raises(OutputError, match="deleted or moved"):
            hold.check()
        with locked(folder), pytest.raises(OutputError, match="deleted or moved"):
            hold.check()
