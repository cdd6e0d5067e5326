"""The numbered examples and the notebook, run as a reader would, at the smallest size."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
COARSE = ("implicit.distance_mm=16", "implicit.detail_mm=12", "mesh.voxel_mm=18", "mesh.head_mm=14", "mesh.hand_mm=14")
NUMBERED = sorted(EXAMPLES.glob("[0-9]*.py"))


def run(script, out, tiny, cache, *more):
    """What the example prints."""
    words = [word for change in (*tiny, *more, "guidance.model=embedded", "device=cpu") for word in ("--set", change)]
    command = [sys.executable, str(script), str(out), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"AVATARGEN_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_each_example_has_a_title_and_says_how_it_is_run():
    assert [path.name[:2] for path in NUMBERED] == ["01", "02", "03", "04", "05"]
    for path in NUMBERED:
        about = ast.get_docstring(ast.parse(path.read_text()))
        assert f"Usage: python examples/{path.name}" in about


def test_the_body_and_the_motion(tiny, cache, tmp_path):
    told = run(EXAMPLES / "02_body_in_numbers.py", tmp_path / "body", tiny, cache)
    assert re.search(r"height +1\.780", told)
    assert (tmp_path / "body" / "body.glb").is_file()
    told = run(EXAMPLES / "03_motion_alone.py", tmp_path / "motion", tiny, cache)
    assert Path(told.strip()).read_text().startswith("HIERARCHY")


def test_the_whole_chain_and_what_follows_it(tiny, cache, tmp_path):
    told = run(EXAMPLES / "01_three_texts.py", tmp_path / "run", tiny, cache, *COARSE)
    assert Path(told.splitlines()[0]).is_file()
    told = run(EXAMPLES / "04_other_formats.py", tmp_path / "run", tiny, cache)
    files = [Path(line) for line in told.splitlines()]
    assert {path.suffix for path in files} == {".vrm", ".stl", ".bvh", ".glb"}
    assert all(path.is_file() for path in files)
    told = run(EXAMPLES / "05_look_inside.py", tmp_path / "inside", tiny, cache, *COARSE)
    assert (tmp_path / "inside" / "clown.glb").is_file()


def test_the_cells_of_the_notebook_run_on_a_finished_run(finished, tiny, tmp_path, monkeypatch):
    notebook = json.loads((EXAMPLES / "character.ipynb").read_text())
    assert notebook["nbformat"] == 4
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = []

    class Shown:
        def __init__(self, *given, **_):
            shown.append(given[0])

    import types

    import avatargen

    display = types.SimpleNamespace(HTML=Shown, Image=Shown, Video=Shown)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(avatargen, "generate", lambda **given: finished, raising=False)
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile(cell, "character.ipynb", "exec"), names)
    assert len(shown) == 3
    assert all(Path(path).is_file() for path in shown[:2])
    assert "height: 1." in shown[2]
    assert (finished.folder / "animated" / "avatar.vrm").is_file()
