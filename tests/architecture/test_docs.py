"""The documentation is whole: every page has its place, every link leads somewhere, every command can be given."""

import ast
import html
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from avatargen import cli
from avatargen.commands import batch, convert, doctor, evaluate

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
PARSERS = {
    "shape": cli.build_shape_parser(),
    "export": convert.build_parser("export"),
    "animate": convert.build_parser("animate"),
    "batch": batch.build_parser(),
    "evaluate": evaluate.build_parser(),
    "doctor": doctor.doctor_parser(),
    "models": doctor.models_parser(),
}


def test_every_page_is_in_the_navigation_and_nothing_else():
    nav = (ROOT / "mkdocs.yml").read_text().partition("nav:")[2].partition("markdown_extensions")[0]
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    made = [f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("[0-9]*.py")]
    assert sorted(re.findall(r"\S+\.md", nav)) == sorted([*pages, *made])


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed (extra `docs`)")
def test_the_site_is_built_without_a_warning_and_shows_the_examples(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    for path in sorted((ROOT / "examples").glob("[0-9]*.py")):
        page = (tmp_path / "site" / "examples" / path.stem / "index.html").read_text(encoding="utf-8")
        text = html.unescape(re.sub(r"<[^>]+>", "", page))
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        assert ast.get_source_segment(source, tree.body[1]) in text
        assert source.strip().splitlines()[-1] in text
        assert f"python examples/{path.name}" in text
        assert (ast.get_docstring(tree) or "").splitlines()[0].rstrip(".") in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", link):
            assert (page.parent / link).exists(), link


def commands():
    """Lines of code in the docs that call avatargen, without what is said behind them."""
    for page in PAGES:
        fenced = False
        for line in page.read_text(encoding="utf-8").splitlines():
            fenced ^= line.startswith("```")
            if re.match(r"avatargen [-\w]" if fenced else r"    avatargen [-\w]", line) and not line.endswith("\\"):
                yield page, re.split(r"\s{2,}", line.strip())[0]


@pytest.mark.parametrize(
    ("page", "line"), list(commands()), ids=lambda value: str(value)[:60] if isinstance(value, str) else ""
)
def test_commands_in_the_docs_are_understood(page, line):
    words = shlex.split(line, comments=True)[1:]
    if words[0] in {"train", "completion", "--help"}:
        return
    parser = PARSERS.get(words[0])
    words = words[1:] if parser else words
    (parser or cli.build_parser()).parse_args([word for word in words if not set(word) & set("[]|")])
