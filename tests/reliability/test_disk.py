"""Disks that are full, folders that cannot be written or vanish: a message, and what was there stays."""

import contextlib
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
from tests.avatargen.test_convert import make_run, wiggle
from tests.reliability.victim import SMALL

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


def mounted(place, options):
    """Mount a file system of its own at `place`, or change the one that is there; whether that went well."""
    mount = shutil.which("mount")
    return (
        mount
        and not subprocess.run(
            [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
        ).returncode
    )


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mounted(place, "size=200k"):
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


def test_a_file_system_that_cannot_be_written_is_told_by_every_command(small_disk, monkeypatch, capsys, tmp_path):
    assert mounted(small_disk, "remount,size=50m")
    make_run(small_disk / "run", wiggle("punching", 1))
    before = {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()}
    (tmp_path / "rows.csv").write_text("shape\ntall\n")
    assert mounted(small_disk, "remount,ro")
    out = ["--out", str(small_disk / "run")]
    for words in (
        ["--shape", "tall", "--guidance", "embedded", "--device", "cpu", "--quiet", *out],
        ["shape", "tall", "--guidance", "embedded", "--device", "cpu", *out],
        ["export", str(small_disk / "run"), "--format", "obj", "--out", str(small_disk / "more")],
        ["animate", str(small_disk / "run"), str(small_disk / "run"), "--out", str(small_disk / "more")],
        ["batch", str(tmp_path / "rows.csv"), "--out", str(small_disk / "gallery")],
    ):
        assert cli.main(words) == 2, words
        said = capsys.readouterr().err
        assert "Read-only file system" in said
        assert "Traceback" not in said
    assert {path: path.read_bytes() for path in small_disk.rglob("*") if path.is_file()} == before


class Meddling(Silent):
    """Does something to a run in the middle of its sculpting, and remembers what it is told."""

    def __init__(self, meddle):
        self.stage, self.meddle, self.notes = "", meddle, []

    def start(self, stage, total):
        self.stage = stage

    def step(self, n=1, **values):
        if self.stage == "sculpting":
            self.meddle()

    def note(self, line):
        self.notes.append(line)


def small_run(folder, reporter, resume=False):
    from avatargen import generate

    given = {"quality": "draft", "guidance": "embedded", "device": "cpu", "overrides": SMALL}
    return generate(
        shape="tall", appearance="a man in a red coat", out=folder, resume=resume, reporter=reporter, **given
    )


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_run_whose_disk_fills_up_goes_on_once_there_is_room(small_disk, own_cache):
    def fill():
        with contextlib.suppress(OSError):
            (small_disk / "ballast").write_bytes(bytes(1 << 20))

    folder = small_disk / "run"
    with pytest.raises(OutputError, match="No space left"):
        small_run(folder, Meddling(fill))
    left = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    assert not [path for path in left if path.suffix == ".part"]
    stored = [path for path in left if path.suffix == ".safetensors"]
    assert folder / ".work" / "shape.safetensors" in stored
    assert all(load_tensors(path)[0] for path in stored)
    (small_disk / "ballast").unlink()
    assert mounted(small_disk, "remount,size=100m")
    told = Meddling(lambda: None)
    result = small_run(folder, told, resume=True)
    assert any(line.startswith("shape: taken from") for line in told.notes)
    straight = small_run(small_disk / "straight", Silent())
    assert (folder / "avatar.glb").read_bytes() == (small_disk / "straight" / "avatar.glb").read_bytes()
    assert set(result.files) == set(straight.files)


@pytest.mark.slow
def test_a_run_whose_folder_is_deleted_ends_in_a_message_and_makes_no_new_one(tmp_path, own_cache):
    folder = tmp_path / "run"
    with pytest.raises(OutputError, match="was deleted or moved"):
        small_run(folder, Meddling(lambda: shutil.rmtree(folder, ignore_errors=True)))
    assert not folder.exists()


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
