"""The built wheel in a bare environment, far from the source tree: everything it needs comes with it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
# Only these travel to people who install; all else is for those who have the source.
SHIPPED = ("avatargen/", "motiongen/", "confs/")


def call(command, seconds=600, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    call([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, ROOT])
    (found,) = folder.glob("avatargen-*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """Runs a command of an environment that holds the wheel and what it asks for, in an empty folder."""
    home = tmp_path_factory.mktemp("bare")
    call([sys.executable, "-m", "venv", home / "env"])
    call([home / "env" / "bin" / "python", "-m", "pip", "install", "-q", wheel], 1200)
    (home / "work").mkdir()
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AVATARGEN", "VIRTUAL"))
    }
    # Nothing on the path: no ffmpeg, no Blender but its own.
    environment = kept | {
        "PATH": "",
        "HOME": str(home),
        "AVATARGEN_CACHE": str(home / "cache"),
        "AVATARGEN_OFFLINE": "1",
    }

    def run(name, *words):
        return call([home / "env" / "bin" / name, *words], cwd=home / "work", env=environment)

    run.work = home / "work"
    return run


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="which files are the project's is git's to say")
def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    tracked = call(["git", "ls-files", *SHIPPED], cwd=ROOT).splitlines()
    expected = {f"avatargen/{path}" if path.startswith("confs/") else path for path in tracked}
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    information = {path for path in held if path.split("/")[0].endswith(".dist-info")}
    assert expected <= held
    assert {path.split("/")[0] for path in held - information} == {"avatargen", "motiongen"}
    assert {"LICENSE", "NOTICE"} <= {Path(path).name for path in information}


def test_it_is_the_installed_package_that_runs(bare):
    code = "import avatargen, motiongen; print(avatargen.__file__, motiongen.__file__)"
    assert bare("python", "-c", code).count("site-packages") == 2
    assert "No broken requirements" in bare("python", "-m", "pip", "check")


def test_help_version_doctor_and_completion(bare, wheel):
    assert "--preview" in bare("avatargen", "--help")
    assert bare("avatargen", "--version").strip() == f"avatargen {wheel.name.split('-')[1]}"
    assert "everything the default command needs works" in bare("avatargen", "doctor")
    assert "motiongen" in bare("motiongen", "--help")
    bare("avatargen", "completion", "bash")


def test_a_body_a_motion_and_a_whole_run(bare, tiny):
    assert (bare.work / bare("avatargen", "shape", "tall").strip() / "body.glb").stat().st_size > 10_000
    bare("motiongen", "punching", "--out", "punch.bvh")
    assert (bare.work / "punch.bvh").read_text().startswith("HIERARCHY")
    changes = [word for change in tiny for word in ("--set", change)]
    texts = ("--shape", "tall", "--appearance", "Saitama", "--motion", "punching")
    folder = bare.work / bare("avatargen", *texts, "--quality", "draft", *changes).strip()
    for name in ("avatar.glb", "motion.mp4", "report.html", "run.json"):
        assert (folder / name).stat().st_size > 1000
    bare("avatargen", "export", str(folder), "--format", "vrm,stl")
