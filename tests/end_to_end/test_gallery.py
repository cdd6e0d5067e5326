"""The page of the gallery, made from a batch of which one row failed."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from avatargen.core.files import write_whole

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gallery

    return gallery


def test_the_page_shows_what_was_made_and_what_failed(finished, gallery, tmp_path, monkeypatch):
    batch = tmp_path / "batch"
    batch.mkdir()
    (batch / "bald").symlink_to(finished.folder)
    ended = [{"folder": "bald", "reason": ""}, {"folder": "lost", "reason": "its process was ended by signal 9"}]
    write_whole(batch / "batch.json", json.dumps({"rows": 3, "ended": ended}).encode())
    table, notes = tmp_path / "table.csv", tmp_path / "notes.csv"
    table.write_text("name,appearance,motion\nbald,Saitama,punching\nlost,a mermaid,waving\nlate,a nurse,running\n")
    notes.write_text("folder,verdict,wrong\nbald,faults,the chin is yellow\n")

    def make():
        words = ["gallery", str(batch), "--table", str(table), "--notes", str(notes)]
        words += ["--page", str(tmp_path / "docs" / "g.md"), "--pictures", str(tmp_path / "docs" / "images")]
        monkeypatch.setattr(sys, "argv", words)
        gallery.main()
        picture = tmp_path / "docs" / "images" / "bald.jpg"
        return (tmp_path / "docs" / "g.md").read_text(), picture.read_bytes(), picture

    page, picture, path = make()
    assert make()[:2] == (page, picture)  # the same folder gives the same page
    assert [p.name for p in path.parent.iterdir()] == ["bald.jpg"]
    with Image.open(path) as image:
        assert image.height == gallery.HEIGHT
        assert image.width > 2 * gallery.HEIGHT  # front, back, and the square film
    record = json.loads((finished.folder / "run.json").read_text())
    parts = record["evaluation"]["part_colors"]
    right = sum(part["right"] for part in parts)
    row, lost, late = [line for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert f"{right} of {len(parts)}" in row
    assert f"{record['seconds']['total']:.0f} s" in row
    assert row.endswith("| faults |")
    assert "**failed**" in lost
    assert "**failed**" in late
    assert "- 1 of 3 finished" in page
    assert "Seen: the chin is yellow" in page
    assert "(images/bald.jpg)" in page
    assert "**Failed:** its process was ended by signal 9" in page
    assert "**Failed:** not made" in page
