import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_import_contracts_hold():
    run = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True, env=_environment())
    assert run.returncode == 0, run.stdout + run.stderr


def _environment():
    import os

    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("module", ["avatargen.cli", "motiongen.cli"])
def test_the_command_lines_start_without_torch_and_numpy(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'numpy', 'scipy', 'pyhocon') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_newest_changelog_heading_is_the_version():
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == version("avatargen")


@pytest.mark.parametrize("folder", ["avatargen", "motiongen"])
def test_no_global_seed_and_no_unsafe_loading(folder):
    banned = re.compile(r"torch\.manual_seed|np\.random\.seed|numpy\.random\.seed|(?<![\w.])eval\(|(?<![\w.])exec\(")
    for path in (ROOT / folder).rglob("*.py"):
        found = [line for line in path.read_text().splitlines() if banned.search(line) and "Generator" not in line]
        assert not found, f"{path}: {found}"


def test_help_names_every_option_of_the_issue():
    from avatargen.cli import build_parser

    text = build_parser().format_help()
    options = "shape appearance motion out seed quality body guidance device config set resume describe"
    for option in options.split():
        assert f"--{option}" in text
