"""What do 24 characters look like that nobody picked for their looks?

Usage: python benchmarks/gallery.py FOLDER [--evaluation evaluation.json] [--notes gallery_notes.csv] [--made-at COMMIT]
           [--remark "two at a time"]
           [--page docs/gallery.md] [--pictures docs/images/gallery]
       python benchmarks/gallery.py --choose

FOLDER is what `avatargen batch benchmarks/gallery.csv --out FOLDER` left; `avatargen evaluate FOLDER/*/ --out E` adds
the ranks among other texts. For each row of the table: the texts, front, back and one frame of the motion, seconds,
memory, score, part colors, the motion's own check, the validator, and what a person wrote about it in
`gallery_notes.csv` (columns folder, verdict, wrong; verdicts good, faults, failure). What failed or is missing has its
place on the page. The same folder gives the same page. `--choose` writes the table itself by the rule in `chosen`.
"""

import argparse
import csv
import io
import json
import os
import statistics
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from PIL import Image

from avatargen.batch import Row, read_table
from avatargen.core.files import write_whole
from avatargen.core.finished import Finished, read_finished
from avatargen.core.values import Motion
from avatargen.evaluate.validator import validator_report
from avatargen.pipeline import animated
from motiongen.checks import Seen, passes

HERE = Path(__file__).parent
TABLE, NOTES = HERE / "gallery.csv", HERE / "gallery_notes.csv"
COUNT, HEIGHT, QUALITY = 24, 420, 84
FRONT, BACK = (0.0, 0.285), (0.445, 0.73)
"""Where the figures stand in a run's preview, as shares of its width."""
VERDICTS = ("good", "faults", "failure")
UNKNOWN = (
    "Serena Williams",
    "Bob Marley",
    "a centaur",
    "a plumber in blue overalls with a wrench",
    "a woman in a green sari",
)
"""Two celebrities whom the shipped list of names does not describe, a body that is no human's, a tool in a hand, and a
garment that no pattern cuts: what is likely to fail."""


def texts_of(kind: str, file: str = "characters.csv") -> list[str]:
    with (HERE / file).open(newline="", encoding="utf-8") as stream:
        return [row["text"] for row in csv.DictReader(stream) if row.get("kind", kind) == kind]


def spread(texts: list[str], count: int) -> list[str]:
    """`count` of them at even steps, the first one first."""
    return [texts[i * len(texts) // count] for i in range(count)]


def chosen() -> list[Row]:
    """Ten descriptions and nine names at even steps through the lists, and `UNKNOWN`; shapes and motions likewise.

    Shapes that name a sex are left out, since they would contradict half of the looks. Shapes and motions go round in
    steps of 5 and 7, so that neighbours in one list do not meet neighbours in another. Nothing was tried out before.
    """
    looks = [*spread(texts_of("appearance"), 10), *spread(texts_of("name"), 9), *UNKNOWN]
    shapes = [text for text in texts_of("shape") if not {"man", "woman"} & set(text.split())]
    shapes, motions = spread(shapes, COUNT), spread(texts_of("motion", "motion_texts.csv"), COUNT)
    return [
        Row(shape=shapes[5 * i % COUNT], appearance=look, motion=motions[7 * i % COUNT]) for i, look in enumerate(looks)
    ]


def table_bytes(rows: list[Row]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["shape", "appearance", "motion"])
    writer.writerows([row.shape, row.appearance, row.motion] for row in rows)
    return stream.getvalue().encode()


@cache
def checks() -> dict[str, str]:
    with (HERE / "motion_texts.csv").open(newline="", encoding="utf-8") as stream:
        return {row["text"]: row["check"] for row in csv.DictReader(stream)}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One character of the page."""

    row: Row
    reason: str = ""
    """Why there is none."""
    run: Finished | None = None
    motion_right: bool | None = None
    """None where the motion has no check."""
    validator: dict[str, Any] | None = None
    judges: dict[str, Any] | None = None
    """Of `avatargen evaluate`, if it was given."""
    verdict: str = ""
    wrong: str = ""

    @property
    def colors(self) -> tuple[int, int]:
        """Parts with their color, parts that the text gives one."""
        parts = self.run.record["evaluation"]["part_colors"] or [] if self.run else []
        return sum(part["right"] for part in parts), len(parts)


def entry_of(
    row: Row, gallery: Path, ended: dict[str, str], evaluation: dict[str, Any], notes: dict[str, dict[str, str]]
) -> Entry:
    note = notes.get(row.folder, {})
    written = {"verdict": note.get("verdict", ""), "wrong": note.get("wrong", "")}
    if ended.get(row.folder, "not made"):
        return Entry(row=row, reason=ended.get(row.folder, "not made"), **written)
    run = read_finished(gallery / row.folder)
    right = None
    if run.motion is not None and row.motion in checks():
        seen = Seen(motion=animated(run.motion, run.avatar), joints=run.avatar.skeleton.joints.astype(np.float64))
        right = passes(checks()[row.motion], seen)
    return Entry(
        row=row,
        run=run,
        motion_right=right,
        validator=validator_report(run.folder / "avatar.glb"),
        judges=evaluation.get(row.folder),
        **written,
    )


def tell_tale(motion: Motion) -> int:
    """The frame whose pose is farthest from the first one's."""
    return int(np.linalg.norm(motion.rotations - motion.rotations[:1], axis=(2, 3)).sum(1).argmax())


def picture(run: Finished) -> bytes:
    """Front, back and a frame of the motion beside each other as JPEG."""
    panels = []
    with Image.open(run.folder / "preview.png") as image:
        for low, high in (FRONT, BACK):
            panels.append(image.crop((round(low * image.width), 0, round(high * image.width), image.height)))
    film = run.folder / "motion.mp4"
    if run.motion is not None and film.is_file():
        frame = Image.fromarray(imageio.imread(film, index=tell_tale(run.motion)))
        across = min(frame.width, round(frame.height * 4 / 3))
        left = (frame.width - across) // 2
        panels.append(frame.crop((left, 0, left + across, frame.height)))
    small = [
        p.convert("RGB").resize((round(p.width * HEIGHT / p.height), HEIGHT), Image.Resampling.LANCZOS) for p in panels
    ]
    page, left = Image.new("RGB", (sum(p.width for p in small), HEIGHT)), 0
    for panel in small:
        page.paste(panel, (left, 0))
        left += panel.width
    stream = io.BytesIO()
    page.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def line(entry: Entry, number: int) -> str:
    """A row of the table."""
    look = cell(entry.row.appearance)
    if entry.run is None:
        return f"| {number} | {look} | - | - | - | - | - | - | - | **failed** |"
    record = entry.run.record
    right, named = entry.colors
    check = {True: "passes", False: "**fails**", None: "none"}[entry.motion_right]
    glb = entry.validator or {}
    sound = f"{glb['errors']} / {glb['warnings']}" if "errors" in glb else "not run"
    score = (record["scores"].get("appearance") or {}).get("avatar")
    cells = [
        str(number), look, f"{record['seconds']['total']:.0f} s", f"{record['peak_memory_mb'] / 1000:.1f} GB",
        "-" if score is None else f"{score:.3f}", ranks(entry),
        f"{right} of {named}" if right == named else f"**{right} of {named}**", check, sound,
        entry.verdict if entry.verdict in ("good", "faults", "") else f"**{entry.verdict}**",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def ranks(entry: Entry) -> str:
    """Places among the other texts: painted, grey, and by measured colors."""
    if not entry.judges:
        return "-"
    found = [entry.judges.get("guiding", {}).get("textured"), entry.judges.get("guiding", {}).get("textureless")]
    found.append(entry.judges.get("measured", {}).get("textured"))
    return " / ".join(f"{verdict['rank']:g}" if verdict else "-" for verdict in found)


def section(entry: Entry, number: int, pictures: str) -> str:
    row = entry.row
    told = [f"### {number}. {row.appearance}", "", f"Shape *{row.shape}*, motion *{row.motion}*."]
    if entry.run is None:
        return "\n".join([*told, "", f"**Failed:** {entry.reason}"])
    words = (entry.run.record.get("description") or {}).get("text", "")
    if words and words != row.appearance:
        told[-1] += f" Made from: *{words}*."
    told += ["", f"![front, back, and in motion]({pictures}/{row.folder}.jpg)"]
    off = [part for part in entry.run.record["evaluation"]["part_colors"] or [] if not part["right"]]
    if off:
        told += ["", "Measured: " + ", ".join(f"{p['part']} {p['got']} instead of {p['asked']}" for p in off) + "."]
    mark = f"**{entry.verdict}**: " if entry.verdict == "failure" else "Seen: "
    told += ["", mark + (entry.wrong or "not looked at yet.")]
    return "\n".join(told)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def summary(entries: list[Entry]) -> list[str]:
    made = [entry for entry in entries if entry.run]
    if not made:
        return ["None of them was finished."]
    seconds = [entry.run.record["seconds"]["total"] for entry in made if entry.run]
    memory = [entry.run.record["peak_memory_mb"] / 1000 for entry in made if entry.run]
    right, named = (sum(entry.colors[i] for entry in made) for i in (0, 1))
    moved = [entry.motion_right for entry in made if entry.motion_right is not None]
    checked = [entry.validator for entry in made if entry.validator and "errors" in entry.validator]
    verdicts = [f"{sum(entry.verdict == verdict for entry in entries)} {verdict}" for verdict in VERDICTS]
    sound = "not run"
    if checked:
        errors, warnings = (sum(found[kind] for found in checked) for kind in ("errors", "warnings"))
        sound = f"{errors} errors, {warnings} warnings in {len(checked)} files"
    told = [
        f"- {len(made)} of {len(entries)} finished; {statistics.median(seconds):.0f} s each (median), "
        f"{max(seconds):.0f} s at most; {max(memory):.1f} GB at most.",
        f"- Named parts with their color: {right} of {named}. "
        f"Motions that pass their check: {sum(moved)} of {len(moved)}.",
        f"- Khronos validator: {sound}.",
        f"- Looked at by a person: {', '.join(verdicts)}.",
    ]
    for role, look, words in (
        ("guiding", "textured", "by the model that guided, painted"),
        ("guiding", "textureless", "by the model that guided, grey"),
        ("measured", "textured", "by measured colors, which guided nothing"),
    ):
        verdicts = [e.judges[role][look] for e in made if e.judges and role in e.judges and look in e.judges[role]]
        if verdicts:
            first = sum(verdict["rank"] == 1 for verdict in verdicts)
            told.append(f"- First among {verdicts[0]['among']} texts {words}: {first} of {len(verdicts)}.")
    return told


HEAD = """# Gallery

<!-- Written by benchmarks/gallery.py; what is seen stands in benchmarks/gallery_notes.csv. -->

Twenty-four characters by the default command, nothing left out and nothing made twice:

    avatargen batch benchmarks/gallery.csv --out outputs/gallery

(`make gallery` also measures them and writes this page.) How they were chosen (`chosen` in `benchmarks/gallery.py`,
before any was made): every third of our thirty descriptions, every sixteenth of the 144 names in the gallery of
AvatarCLIP, and five that are likely to fail: two celebrities whom our list of names does not describe, a body that is
no human's, a tool in a hand, a garment without a pattern. Shapes and motions go at even steps through their lists;
shapes that name a sex are left out.
"""
COLUMNS = (
    "| | appearance | time | peak memory | score | ranks | colors | motion | validator | seen |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
LEGEND = """Score: mean cosine under the guiding model. Ranks: place of the own text among the shipped characters' for
the painted avatar, the grey one (both under the guiding model) and by measured colors, `-` where not evaluated. Colors:
named parts that have their color. Motion: the physical check of what the text names. Validator: errors / warnings."""


def page(entries: list[Entry], pictures: str, made_at: str, remark: str = "") -> str:
    record = next((entry.run.record for entry in entries if entry.run), None)
    where = ""
    if record:
        here = record["machine"]
        where = (
            f"{here['processor']}, {here['cores']} cores, {here['gpu'] or 'no GPU'}, quality {record['quality']}, "
            f"torch {record['versions']['torch']}"
            + (f", commit {made_at}" if made_at else "")
            + (f"; {remark}" if remark else "")
            + "."
        )
    table = [COLUMNS, *(line(entry, number) for number, entry in enumerate(entries, start=1))]
    parts = [HEAD, where, "\n".join(summary(entries)), "\n".join(table), LEGEND]
    parts += [section(entry, number, pictures) for number, entry in enumerate(entries, start=1)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def read_notes(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        found = {row["folder"]: row for row in csv.DictReader(stream)}
    odd = [f"{folder}: {row['verdict']!r}" for folder, row in found.items() if row["verdict"] not in ("", *VERDICTS)]
    if odd:
        raise SystemExit(f"{path}: a verdict is one of {', '.join(VERDICTS)}; not so: {'; '.join(odd)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gallery", type=Path, nargs="?", help="the batch's folder")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--choose", action="store_true", help="write the table by its rule")
    parser.add_argument("--evaluation", type=Path, help="evaluation.json of the same runs")
    parser.add_argument("--notes", type=Path, default=NOTES)
    parser.add_argument("--made-at", default="", help="the commit that made them")
    parser.add_argument("--remark", default="", help="on how they were made, e.g. beside what")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "gallery.md")
    parser.add_argument("--pictures", type=Path, default=HERE.parent / "docs" / "images" / "gallery")
    asked = parser.parse_args()
    if asked.choose:
        write_whole(asked.table, table_bytes(chosen()))
        return
    if asked.gallery is None:
        parser.error("name the folder that `avatargen batch` left, or --choose")
    batch = json.loads((asked.gallery / "batch.json").read_text(encoding="utf-8"))
    ended = {row["folder"]: row["reason"] for row in batch["ended"]}
    runs = json.loads(asked.evaluation.read_text(encoding="utf-8"))["runs"] if asked.evaluation else []
    evaluation = {run["run"]: run["judges"] for run in runs}
    notes = read_notes(asked.notes)
    entries = [entry_of(row, asked.gallery, ended, evaluation, notes) for row in read_table(asked.table)]
    size = 0
    for entry in entries:
        if entry.run:
            data = picture(entry.run)
            size += len(data)
            write_whole(asked.pictures / f"{entry.row.folder}.jpg", data)
    place = Path(os.path.relpath(asked.pictures, asked.page.parent)).as_posix()
    write_whole(asked.page, page(entries, place, asked.made_at, asked.remark).encode())
    print(f"{asked.page}, {len(entries)} characters, pictures of {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
