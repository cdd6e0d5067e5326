"""Many characters from one table: each row is a run of its own in a process of its own, and an index page shows all.

A row that fails, or whose process dies, does not stop the others. What is finished is not made again: the table can be
given once more after an interruption, or with rows added.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from urllib.parse import quote

from avatargen.core.errors import AvatarGenError, InputError, OutputError
from avatargen.core.files import digest_bytes, read_small_text, write_whole
from avatargen.core.progress import Reporter, Silent
from avatargen.core.runs import check_text, slug

_MOST_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One character; the fields are the table's columns."""

    name: str = ""
    """Of its folder; made from the texts where it is empty."""
    shape: str = ""
    appearance: str = ""
    motion: str = ""
    describe: str = ""
    seed: int = 0

    @property
    def folder(self) -> str:
        """Name of its folder in the gallery: a plain word whatever `name` holds."""
        own = slug(self.name) if self.name else slug(self.shape, self.appearance, self.motion, self.describe)
        return own if self.seed == 0 or self.name else f"{own}-seed{self.seed}"

    def words(self) -> list[str]:
        """Its part of the command line."""
        given = {"shape": self.shape, "appearance": self.appearance, "motion": self.motion, "describe": self.describe}
        return [w for key, text in given.items() if text for w in (f"--{key}", text)] + ["--seed", str(self.seed)]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a row ended."""

    row: Row
    reason: str = ""
    """Why it failed; empty if it did not."""
    again: bool = True
    """Made now, not found finished."""


Runner = Callable[[Row, Path], str]
"""Makes a row in a folder; returns why it failed, or nothing."""


def read_table(path: Path) -> tuple[Row, ...]:
    """The rows of a CSV file in UTF-8 whose first line names the columns.

    Raises:
        InputError: no such file, no table, unknown columns, a row without texts, or two rows for one folder; the
            message says which line.
    """
    text = read_small_text(path, "a CSV table of prompts")
    known = [f.name for f in fields(Row)]
    try:
        table = csv.DictReader(text.splitlines(), strict=True)
        columns = [(name or "").strip().lower() for name in table.fieldnames or []]
        if not columns or set(columns) - set(known) or len(set(columns)) != len(columns):
            raise InputError(
                f"{path}: the first line must name columns, each once, out of: {', '.join(known)}\n"
                f"  It has: {', '.join(columns) or 'nothing'}"
            )
        table.fieldnames = columns
        rows = [_row(cells, path, table.line_num) for cells in table]
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table: {error}") from error
    if not 1 <= len(rows) <= _MOST_ROWS:
        raise InputError(f"{path} has {len(rows):,} rows; 1 to {_MOST_ROWS:,} can be made")
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if row.folder in seen:
            raise InputError(
                f"{path}: rows {seen[row.folder]} and {number} would share the folder {row.folder!r}\n"
                f"  Give them different names or seeds."
            )
        seen[row.folder] = number
    return tuple(rows)


def _row(cells: dict[str, str | None], path: Path, line: int) -> Row:
    if None in cells:
        raise InputError(f"{path}, line {line}: more cells than columns; put texts with commas into quotes")
    found = {name: (text or "").strip() for name, text in cells.items()}
    seed = found.pop("seed", "") or "0"
    if not seed.isdecimal() or len(seed) > 9:
        raise InputError(f"{path}, line {line}: the seed {seed[:20]!r} is no number from 0 to 999999999")
    row = Row(seed=int(seed), **found)
    if not (row.shape or row.appearance or row.motion or row.describe):
        raise InputError(f"{path}, line {line}: no text; fill shape, appearance, motion or describe")
    return row


def run_batch(
    rows: Sequence[Row],
    gallery: Path,
    *,
    options: Sequence[str] = (),
    jobs: int = 1,
    reporter: Reporter | None = None,
    runner: Runner | None = None,
    stop: Callable[[], None] | None = None,
) -> tuple[Outcome, ...]:
    """Make every row that is not finished yet, `jobs` at a time; `index.html` and `batch.json` grow with each.

    Args:
        rows: see `read_table`.
        gallery: gets a folder for each row.
        options: further words of the command line, the same for all: `("--quality", "draft")`.
        jobs: processes at a time.
        reporter: told how each row ended.
        runner: makes one row; a process of `avatargen` if None.
        stop: ends the rows that `runner` is making, when the batch is interrupted.

    Raises:
        InputError: `jobs` is not positive.
        OutputError: the gallery cannot be written.
    """
    if jobs < 1:
        raise InputError(f"--jobs {jobs}: at least one row must be made at a time")
    told, make = reporter or Silent(), runner or (lambda row, folder: _process(row, folder, options))
    try:
        gallery.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {gallery}: {error.strerror or error}") from error
    outcomes: dict[str, Outcome] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting: dict[Future[Outcome], Row] = {pool.submit(_one, r, gallery, options, make): r for r in rows}
        try:
            for done in as_completed(waiting):
                outcome = done.result()
                outcomes[outcome.row.folder] = outcome
                state = f"failed: {outcome.reason}" if outcome.reason else "done" if outcome.again else "was done"
                told.note(f"{len(outcomes)} of {len(rows)}  {outcome.row.folder}: {state}")
                write_index(gallery, [outcomes[r.folder] for r in rows if r.folder in outcomes], len(rows))
        except BaseException:
            for future in waiting:
                future.cancel()
            if stop is not None:
                stop()
            raise
    return tuple(outcomes[row.folder] for row in rows)


def _one(row: Row, gallery: Path, options: Sequence[str], make: Runner) -> Outcome:
    folder, stamp = gallery / row.folder, _stamp(row, options)
    finished = folder / ".work" / "batch"
    if (folder / "run.json").is_file() and finished.is_file() and finished.read_text() == stamp:
        return Outcome(row=row, again=False)
    try:
        for name, text in (("shape", row.shape), ("appearance", row.appearance), ("motion", row.motion)):
            check_text(name, text or None)
        reason = make(row, folder)
        if not reason and (folder / ".work").is_dir():
            write_whole(finished, stamp.encode())
    except (AvatarGenError, OSError) as error:
        reason = str(error).splitlines()[0]
    return Outcome(row=row, reason=reason)


def _stamp(row: Row, options: Sequence[str]) -> str:
    return digest_bytes(json.dumps([row.words(), list(options)]).encode())


def _process(row: Row, folder: Path, options: Sequence[str]) -> str:
    command = [sys.executable, "-m", "avatargen", "--quiet", *row.words(), *options, "--out", str(folder), "--resume"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"its process was ended by signal {-done.returncode}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("avatargen:")] or lines[-1:] or [f"exit code {done.returncode}"]
    return said[0].removeprefix("avatargen:").strip()


def write_index(gallery: Path, outcomes: Sequence[Outcome], total: int) -> None:
    """`index.html`, which needs no network, and `batch.json`, of what has ended so far."""
    table = [
        {"folder": o.row.folder, "ok": not o.reason, "reason": o.reason, "texts": o.row.words()[:-2]} for o in outcomes
    ]
    write_whole(gallery / "batch.json", json.dumps({"rows": total, "ended": table}, indent=1).encode())
    failed = sum(bool(o.reason) for o in outcomes)
    head = f"{len(outcomes) - failed} of {total} characters" + (f", {failed} failed" if failed else "")
    page = _PAGE.format(head=head, cards="\n".join(_card(o, gallery) for o in outcomes))
    write_whole(gallery / "index.html", page.encode())


def _card(outcome: Outcome, gallery: Path) -> str:
    row, place = outcome.row, quote(outcome.row.folder)
    title = escape(row.name or row.appearance or row.describe or row.shape or row.motion)
    about = escape(", ".join(text for text in (row.shape, row.appearance, row.motion) if text))
    if outcome.reason:
        told = f"<figcaption><b>{title}</b> {about}<p>{escape(outcome.reason)}</p></figcaption>"
        return f'<figure class="failed">{told}</figure>'
    links = "".join(
        f'<a href="{place}/{name}">{name}</a> '
        for name in ("report.html", "avatar.glb", "motion.mp4", "turntable.mp4", "run.json")
        if (gallery / outcome.row.folder / name).is_file()
    )
    picture = f'<a href="{place}/preview.png"><img loading="lazy" src="{place}/preview.png" alt="{title}"></a>'
    return f"<figure>{picture}<figcaption><b>{title}</b> {about}<p>{links}</p></figcaption></figure>"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{head}</title>
<style>
body {{ font: 15px system-ui, sans-serif; margin: 2rem; background: #f4f4f4; color: #222 }}
main {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)) }}
figure {{ margin: 0; padding: .7rem; background: white; border-radius: .4rem }}
img {{ width: 100% }} p {{ margin: .3rem 0 0 }} .failed {{ border-left: .4rem solid #c33 }}
</style>
<h1>{head}</h1>
<main>
{cards}
</main></html>
"""
