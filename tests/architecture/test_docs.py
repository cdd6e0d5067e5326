"""The documentation is whole: every page has its place, every link leads somewhere, every command can be given."""

import re
import shlex
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
    assert sorted(re.findall(r"\S+\.md", nav)) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


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
