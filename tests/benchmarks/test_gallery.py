"""The gallery's table is what its rule gives, and its page tells of every row, of failures first of all."""

from collections import Counter

import gallery
import pytest

from avatargen.batch import read_table
from avatargen.core.characters import describe


def test_the_table_is_what_the_rule_gives():
    rows = gallery.chosen()
    assert gallery.TABLE.read_bytes() == gallery.table_bytes(rows)
    assert read_table(gallery.TABLE) == tuple(rows)
    assert len(rows) == gallery.COUNT == len({row.folder for row in rows})
    assert max(Counter(row.shape for row in rows).values()) == max(Counter(row.motion for row in rows).values()) == 1
    assert all(describe(text).source == "text" for text in gallery.UNKNOWN)  # no shipped description helps them
    assert {row.motion for row in rows} <= set(gallery.checks())


def test_even_steps_start_with_the_first():
    assert gallery.spread(list("abcdefgh"), 4) == list("aceg")
    assert gallery.spread(list("abcde"), 3) == list("abd")


def test_a_verdict_that_is_none_is_told(tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("folder,verdict,wrong\none,splendid,nothing\n")
    with pytest.raises(SystemExit, match=r"one: 'splendid'"):
        gallery.read_notes(notes)
    assert gallery.read_notes(tmp_path / "none.csv") == {}
