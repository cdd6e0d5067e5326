"""Disks that are full, folders that cannot be written or vanish: a message, and what was there stays."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
import torch

from avatargen import cli
from avatargen.core.errors import OutputError
from avatargen.core.failures import machine_failure
from avatargen.core.files import load_tensors, save_tensors, whole_folder, write_whole
from avatargen.core.locks import locked
from avatargen.core.progress import Silent
from avatargen.core.runs import finished_stage

CODE = """
import resource, sys
from pathlib import Path
import torch
from avatargen.core.errors import OutputError
from avatargen.core.files import save_tensors
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_tensors(Path(sys.argv[1]), {"new": torch.zeros(100_000)})
except OutputError as error:
    print(error)
"""


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one_whole(tmp_path):
    path = tmp_path / "fit.safetensors"
    save_tensors(path, {"old": torch.arange(9)})
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot write" in done.stdout
    assert torch.equal(load_tensors(path)[0]["old"], torch.arange(9))
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)], capture_output=True)
    if not made or made.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def many_frames(folder):
    with whole_folder(folder) as part:
        for number in range(100):
            (part / f"{number}.png").write_bytes(bytes(10_000))


def test_a_full_disk_is_told_and_leaves_what_was_there(small_disk):
    kept = save_tensors(small_disk / "fit.safetensors", {"old": torch.arange(9)})
    with pytest.raises(OutputError, match="No space left"):
        save_tensors(kept, {"new": torch.zeros(100_000)})
    with pytest.raises(OutputError, match="No space left"):
        many_frames(small_disk / "frames")
    assert torch.equal(load_tensors(kept)[0]["old"], torch.arange(9))
    assert list(small_disk.iterdir()) == [kept]
    write_whole(small_disk / "more", bytes(150_000))  # all room is given back


def test_a_stage_in_a_folder_that_vanished_is_an_error_and_makes_no_new_folder(tmp_path):
    folder = tmp_path / "run"

    def make():
        shutil.rmtree(folder)
        return {"x": torch.zeros(1)}

    with locked(folder) as hold, pytest.raises(OutputError, match=r"deleted or moved.*\n.*--resume"):
        finished_stage(
            hold,
            "shape",
            "key",
            resume=True,
            make=make,
            pack=lambda value: (value, {}),
            unpack=lambda tensors, _: tensors,
            reporter=Silent(),
        )
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else_is_told(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(OutputError, match="--out"), locked(folder):
            pass
        with pytest.raises(OutputError, match="--out"):
            write_whole(folder / "avatar.glb", b"")
    finally:
        os.seteuid(0)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/out/x"), "/out/x: the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "quota"),
        (OSError(errno.EROFS, "Read-only file system", "/out"), "Read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/out"), "Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "TMPDIR"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "--quality draft"),
    ],
)
def test_what_the_machine_does_ends_in_a_message_and_not_in_a_traceback(error, words, capsys, monkeypatch):
    def fail(*_, **__):
        raise error

    import avatargen.api

    monkeypatch.setattr(avatargen.api, "generate", fail)
    assert cli.main(["--shape", "tall", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_our_own_bugs_keep_their_traceback(monkeypatch):
    def fail(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No such file", "weights")

    import avatargen.api

    monkeypatch.setattr(avatargen.api, "generate", fail)
    with pytest.raises(FileNotFoundError):
        cli.main(["--shape", "tall", "--quiet"])
    assert machine_failure(KeyError("x")) is None


def test_no_room_for_temporary_files_is_told(tmp_path, monkeypatch, capsys):
    import avatargen.api

    def fail(*_, **__):
        with tempfile.TemporaryDirectory(dir=tmp_path / "file"):
            pass

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(avatargen.api, "generate", fail)
    assert cli.main(["--shape", "tall", "--quiet"]) == 2
    assert "TMPDIR" in capsys.readouterr().err
