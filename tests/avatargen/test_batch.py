import json
import threading

import pytest

from avatargen.batch import Row, read_table, run_batch
from avatargen.core.errors import InputError, OutputError


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_is_read_with_its_columns_in_any_order(tmp_path):
    rows = read_table(table(tmp_path, 'Motion, shape,seed\nwaving,"short, chubby",3\n,tall,\n', "utf-8-sig"))
    assert rows == (Row(shape="short, chubby", motion="waving", seed=3), Row(shape="tall"))
    assert rows[0].folder == "short-chubby-waving-seed3"
    assert rows[0].words() == ["--shape", "short, chubby", "--motion", "waving", "--seed", "3"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "first line"),
        ("shape,colour\ntall,red\n", "colour"),
        ("shape,shape\ntall,red\n", "each once"),
        ("shape\n", "0 rows"),
        ("shape\ntall,red\n", "line 2: more cells"),
        ("shape,seed\ntall,-1\n", "line 2: the seed"),
        ("shape,seed\ntall,1e9\n", "line 2: the seed"),
        ("name,shape\nhero,\n", "line 2: no text"),
        ("shape\ntall\ntall\n", "rows 1 and 2"),
        ("name,shape\na b,tall\na-b,short\n", "rows 1 and 2"),
        ('shape\n"tall\n', "CSV"),
        ("\x00\x01", "first line"),
    ],
)
def test_a_table_that_cannot_be_used_says_why_and_where(tmp_path, text, why):
    with pytest.raises(InputError, match=why):
        read_table(table(tmp_path, text))


def test_no_file_and_no_text_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(table(tmp_path, "shape\ngroß\n", "latin-1"))


def test_a_name_cannot_leave_the_gallery(tmp_path):
    row = Row(name="../../etc/x", shape="tall")
    assert "/" not in row.folder
    assert ".." not in row.folder


class Maker:
    """Stands in for the process: fails for some rows, writes a record for the others."""

    def __init__(self, failing=()):
        self.failing, self.made, self.most, self.now = set(failing), [], 0, 0
        self.lock = threading.Lock()

    def __call__(self, row, folder):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.made.append(row.shape)
        if row.shape in self.failing:
            self.now -= 1
            return "no <such> shape"
        (folder / ".work").mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text("{}")
        (folder / "preview.png").write_bytes(b"")
        with self.lock:
            self.now -= 1
        return ""


ROWS = tuple(Row(shape=shape) for shape in ("tall", "short", "fat & old", "thin"))


def test_one_failing_row_does_not_stop_the_rest_and_is_listed_with_its_reason(tmp_path):
    outcomes = run_batch(ROWS, tmp_path / "g", runner=Maker({"short"}), jobs=2)
    assert [o.reason for o in outcomes] == ["", "no <such> shape", "", ""]
    page = (tmp_path / "g" / "index.html").read_text()
    assert "3 of 4 characters, 1 failed" in page
    assert "no &lt;such&gt; shape" in page
    assert "fat &amp; old" in page
    assert "<such>" not in page
    ended = json.loads((tmp_path / "g" / "batch.json").read_text())["ended"]
    assert [e["ok"] for e in ended] == [True, False, True, True]


def test_given_again_it_makes_what_is_missing_failed_or_asked_otherwise(tmp_path):
    run_batch(ROWS, tmp_path / "g", runner=Maker({"short"}))
    again = Maker()
    outcomes = run_batch([*ROWS, Row(shape="muscular")], tmp_path / "g", runner=again)
    assert again.made == ["short", "muscular"]
    assert [o.again for o in outcomes] == [False, True, False, False, True]
    other = Maker()
    run_batch(ROWS[:1], tmp_path / "g", runner=other, options=("--quality", "draft"))
    assert other.made == ["tall"]


def test_an_interruption_keeps_what_is_done(tmp_path):
    class Interrupted(Maker):
        def __call__(self, row, folder):
            if row.shape == "fat & old":
                raise KeyboardInterrupt
            return super().__call__(row, folder)

    with pytest.raises(KeyboardInterrupt):
        run_batch(ROWS, tmp_path / "g", runner=Interrupted())
    again = Maker()
    run_batch(ROWS, tmp_path / "g", runner=again)
    assert "tall" not in again.made
    assert "fat & old" in again.made


def test_texts_that_cannot_be_used_fail_their_row_alone(tmp_path):
    outcomes = run_batch([Row(shape="x" * 10_000), ROWS[0]], tmp_path / "g", runner=Maker())
    assert "10000 characters" in outcomes[0].reason
    assert not outcomes[1].reason


def test_a_gallery_that_cannot_be_written_and_no_jobs_are_errors(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        run_batch(ROWS, tmp_path / "file", runner=Maker())
    with pytest.raises(InputError, match="--jobs 0"):
        run_batch(ROWS, tmp_path / "g", runner=Maker(), jobs=0)


def test_real_processes_make_a_body_and_tell_why_one_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "cache"))
    small = ("shape.codebook_size=16", "shape.refine_steps=1", "video.turntable_seconds=0.1", "video.width=64",
             "video.height=64", "video.preview_width=160")  # fmt: skip
    options = ["--guidance", "embedded", *(word for key in small for word in ("--set", key))]
    rows = [Row(shape="tall"), Row(shape="short", seed=5)]
    broken = run_batch(rows[1:], tmp_path / "g", options=[*options, "--set", "shape.views=9"])
    assert "shape.views" in broken[0].reason
    assert [o.reason for o in run_batch(rows[:1], tmp_path / "g", options=options)] == [""]
    assert (tmp_path / "g" / "tall" / "avatar.glb").stat().st_size > 10_000
