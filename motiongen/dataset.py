"""From motion files and their words to one training set.

`python -m motiongen.dataset FOLDER --labels labels.csv --out set.npz` (also `motiongen import`).

The set is a plain `.npz`: clips laid end to end, all on the proportions of `motiongen.kinematics.REFERENCE_JOINTS`.
`docs/motion_data.md` lists its keys.
"""

import argparse
import csv
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from avatargen.core.errors import AvatarGenError, BrokenFileError, InputError
from avatargen.core.files import read_small_text, write_whole
from avatargen.core.npz import encode_npz, read_npz
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Reporter, Silent
from avatargen.core.values import Motion
from motiongen.clips import Clip, mirrored_clip
from motiongen.importers.amass import read_amass
from motiongen.importers.bvh import read_bvh
from motiongen.importers.retarget import resample, retarget_bvh
from motiongen.kinematics import matrix_from_rotvec, rotvec_from_matrix, slerp
from motiongen.physics import detect_contacts, ground, lock_feet, root_from_feet
from motiongen.procedural.actions import procedural_clips

_SUFFIXES = (".bvh", ".npz")
_VAL_SHARE = 0.1
_IN_PLACE = re.compile(r"\s*\b(in place|on the spot|without moving on)\b")


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionSet:
    """All clips of a set; arrays are those of the file."""

    axis_angle: Float[np.ndarray, "t 24 3"]
    root_position: Float[np.ndarray, "t 3"]
    contacts: Float[np.ndarray, "t 2"]
    clip_start: Integer[np.ndarray, " k1"]
    """Clip k is frames clip_start[k] to clip_start[k + 1]."""
    fps: float
    names: tuple[str, ...]
    labels: tuple[str, ...]
    alternatives: tuple[tuple[str, ...], ...]
    loop: tuple[bool, ...]
    rest_root_height: Float[np.ndarray, " k"]
    split: tuple[str, ...]
    source: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def motion(self, k: int) -> Motion:
        """Clip `k` as a value."""
        part = slice(int(self.clip_start[k]), int(self.clip_start[k + 1]))
        return Motion(
            rotations=matrix_from_rotvec(self.axis_angle[part].astype(float)),
            root_position=self.root_position[part].astype(float),
            rest_root_height=float(self.rest_root_height[k]),
            joint_names=SMPL_JOINTS,
            fps=self.fps,
            name=self.names[k],
            contacts=self.contacts[part].astype(float),
        )


@dataclass
class ImportReport:
    """What happened to each file."""

    clips: int = 0
    frames: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """File and reason."""


def read_labels(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a labels file by clip name.

    Columns: clip, label; optional: alternatives (a|b), loop (yes), source, licence, group.

    Raises:
        BrokenFileError: no such columns, or not a table.
        InputError: no such file, or one that is no text.
    """
    try:
        rows = list(csv.DictReader(read_small_text(path, "a CSV table of labels").splitlines()))
    except csv.Error as error:
        raise BrokenFileError(f"{path}: not a CSV file: {error}") from error
    if not rows or not {"clip", "label"} <= set(rows[0]):
        raise BrokenFileError(f"{path}: needs a header line with the columns 'clip' and 'label', and rows")
    for line, row in enumerate(rows, 2):
        if not row["clip"] or not (row["label"] or "").strip():
            raise BrokenFileError(f"{path}:{line}: 'clip' or 'label' is empty")
    return {row["clip"]: {key: value or "" for key, value in row.items() if key} for row in rows}


def read_motion(path: Path, name: str | None = None, bones: Mapping[str, str] | None = None) -> Motion:
    """The motion of a `.bvh` or AMASS `.npz`, on the reference body, with the file's own frame rate.

    Raises:
        BrokenFileError: the file does not hold what it should.
        InputError: unknown extension, or a skeleton whose joints cannot be told.
    """
    match path.suffix.lower():
        case ".bvh":
            return retarget_bvh(read_bvh(path), bones, name=name or path.stem)
        case ".npz":
            return read_amass(path, name=name or path.stem)
        case _:
            raise InputError(
                f"{path}: cannot import {path.suffix or 'a file without extension'!r}; {' and '.join(_SUFFIXES)} can be"
            )


def remove_snaps(motion: Motion, limit_deg: float = 22.0, rounds: int = 4) -> Motion:
    """The motion without poses that jump away for a frame or two: such joints go the way between their neighbours."""
    rotations = motion.rotations.copy()
    frames = len(rotations)
    for span in (2, 3) * rounds:
        if frames <= span:
            break
        for offset in range(1, span):
            middle = slerp(rotations[:-span], rotations[span:], offset / span)
            now = rotations[offset : frames - span + offset]
            turn = np.swapaxes(middle, -1, -2) @ now
            angle = np.arccos(np.clip((np.trace(turn, axis1=-2, axis2=-1) - 1) / 2, -1, 1))
            across = np.swapaxes(rotations[:-span], -1, -2) @ rotations[span:]
            travel = np.arccos(np.clip((np.trace(across, axis1=-2, axis2=-1) - 1) / 2, -1, 1))
            bad = (angle > np.radians(limit_deg)) & (angle > travel)
            now[bad] = middle[bad]
    return replace(motion, rotations=rotations)


def _travelling(clip: Clip) -> Clip | None:
    """The clip as one that gets somewhere, if its words say that it walks or runs in place."""
    words = (clip.label, *clip.alternatives)
    if not _walks_in_place(clip) or "crawl" in clip.label:
        return None
    motion = lock_feet(root_from_feet(clip.motion))
    gone = float(np.linalg.norm((motion.root_position[-1] - motion.root_position[0])[[0, 2]]))
    if gone * motion.fps / len(motion.rotations) < 0.2:
        return None
    kept = [_IN_PLACE.sub("", w) for w in words]
    return replace(
        clip,
        motion=replace(motion, name=f"{motion.name}_travelling"),
        label=kept[0],
        alternatives=tuple(dict.fromkeys(w for w in kept[1:] if w != kept[0])),
    )


def prepare(clip: Clip, fps: float) -> Clip:
    """The clip at `fps`, standing on the floor, starting over the origin, with contacts."""
    motion = clip.motion
    if clip.source == "kaykit":
        motion = remove_snaps(motion)
    motion = resample(motion, fps)
    if not re.search(r"\b(hover|float|levitate|fly|soar|glide)\b", " ".join((clip.label, *clip.alternatives))):
        motion = ground(motion, flatten="terrain" in clip.label)
    root = motion.root_position.copy()
    root[:, [0, 2]] -= root[0, [0, 2]]
    motion = replace(motion, root_position=root)
    if not _walks_in_place(clip):
        # Sources slide up to half of the time; a prior that learns from them would, too.
        motion = ground(lock_feet(motion))
    return replace(clip, motion=replace(motion, contacts=detect_contacts(motion)))


def _walks_in_place(clip: Clip) -> bool:
    moving = re.search(r"\b(walk|run|sprint|sneak|crouch|crawl|dash|strafe)", clip.label)
    return bool(moving) and any(_IN_PLACE.search(words) for words in (clip.label, *clip.alternatives))


def _group(name: str, source: str) -> str:
    """What must stay on one side of a split: a CMU subject, or takes that differ in number, letter or mirror only."""
    stem = name.rsplit("/", 1)[-1]
    if source == "cmu":
        return f"cmu/{stem.split('_')[0]}"
    stem = re.sub(r"_(mirror|mirrored|travelling)", "", stem)
    return f"{source}/{re.sub(r'(_[a-d](_[0-9])?|[0-9]+)$', '', stem)}"


def _files(paths: Iterable[Path]) -> list[tuple[str, Path]]:
    """Clip names (relative to the folder given) and files, sorted."""
    found: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
            found += [(p.relative_to(path).as_posix(), p) for p in inside]
        elif not path.exists():
            raise InputError(f"no such file or folder: {path}")
        else:
            found.append((path.name, path))
    if not found:
        raise InputError(f"no {' or '.join(_SUFFIXES)} files in {', '.join(map(str, paths))}")
    return found


def finished_clips(clips: Sequence[Clip], fps: float, *, mirror: bool) -> list[Clip]:
    """Clips as the set holds them: on the floor, with contacts, walks in place made to travel, mirror images added."""
    clips = [prepare(clip, fps) for clip in clips]
    clips = [_travelling(clip) or clip for clip in clips]
    clips = [replace(c, motion=replace(c.motion, contacts=detect_contacts(c.motion))) for c in clips]
    if mirror:
        own = {clip.motion.name for clip in clips}
        paired = {n for n in own if n.endswith("_mirror")} | {
            n.removesuffix("_mirror") for n in own if n.endswith("_mirror")
        }
        clips += [mirrored_clip(clip) for clip in clips if clip.motion.name not in paired]
    return clips


def load_clips(
    paths: Sequence[Path],
    labels: Mapping[str, Mapping[str, str]],
    report: ImportReport,
    bones: Mapping[str, str] | None = None,
) -> list[Clip]:
    """The clips of all files that can be read; the others are named in `report`."""
    clips = []
    for name, path in _files(paths):
        row = labels.get(name) or labels.get(path.name) or labels.get(path.stem) or {}
        try:
            motion = read_motion(path, name.removesuffix(path.suffix), bones)
        except (AvatarGenError, OSError) as error:
            report.skipped.append((str(path), str(error)))
            continue
        source = row.get("source", "")
        clips.append(
            Clip(
                motion=motion,
                label=row.get("label") or re.sub(r"[\W_\d]+", " ", path.stem).strip() or path.stem,
                alternatives=tuple(w.strip() for w in row.get("alternatives", "").split("|") if w.strip()),
                loop=row.get("loop", "").lower() in ("yes", "true", "1"),
                source=source,
                licence=row.get("licence", ""),
                group=row.get("group") or _group(motion.name, source),
            )
        )
    return clips


def split_groups(clips: Sequence[Clip], share: float = _VAL_SHARE) -> dict[str, str]:
    """Group -> 'train' or 'val': about `share` of each source's frames, in whole groups, chosen by a hash."""
    frames: dict[str, dict[str, int]] = {}
    for clip in clips:
        groups = frames.setdefault(clip.source, {})
        groups[clip.group] = groups.get(clip.group, 0) + len(clip.motion.rotations)
    sides: dict[str, str] = {}
    for groups in frames.values():
        left = share * sum(groups.values())
        for group in sorted(groups, key=lambda g: hashlib.blake2b(g.encode(), digest_size=8).digest()):
            take = len(groups) > 1 and groups[group] <= left * 1.3
            sides[group] = "val" if take else "train"
            left -= groups[group] if take else 0
    return sides


def build_dataset(
    paths: Sequence[Path],
    labels: Path | None,
    out: Path,
    fps: float = 30.0,
    mirror: bool = True,
    procedural: Sequence[Clip] = (),
    bones: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
) -> ImportReport:
    """Write the training set of all motions under `paths` to `out`; files that cannot be read are reported and skipped.

    Args:
        paths: files or folders (`.bvh`, AMASS `.npz`).
        labels: CSV with `clip` (path relative to its folder) and `label`; without it file names are the words.
        out: the `.npz` to write.
        fps: frames a second of the set.
        mirror: add a mirror image of each clip (not of clips that come with one, named `..._mirror`).
        procedural: further clips, already at any frame rate.
        bones: bone map for skeletons whose names say nothing: SMPL joint -> joint of the file.
        reporter: told about skipped files.

    Raises:
        InputError: a path is not there, or nothing under the paths could be imported.
    """
    reporter = reporter or Silent()
    report = ImportReport()
    rows = read_labels(labels) if labels else {}
    clips = load_clips(paths, rows, report, bones) if paths else []
    for file, reason in report.skipped:
        reporter.note(f"skipped {file}: {reason.splitlines()[0]}")
    if paths and not clips:
        raise InputError("nothing to import:\n" + "\n".join(f"  {file}: {why}" for file, why in report.skipped))
    clips = finished_clips([*clips, *procedural], fps, mirror=mirror)
    report.clips, report.frames = len(clips), sum(len(clip.motion.rotations) for clip in clips)
    write_whole(out, encode_npz(set_arrays(clips, fps)))
    return report


def set_arrays(clips: Sequence[Clip], fps: float) -> dict[str, np.ndarray]:
    """The arrays of a set of clips; see docs/motion_data.md."""
    sides = split_groups(clips)
    motions = [clip.motion for clip in clips]
    return {
        "axis_angle": np.concatenate([rotvec_from_matrix(m.rotations) for m in motions]).astype(np.float32),
        "root_position": np.concatenate([m.root_position for m in motions]).astype(np.float32),
        "contacts": np.concatenate(
            [np.zeros((len(m.rotations), 2)) if m.contacts is None else m.contacts for m in motions]
        ).astype(np.float32),
        "clip_start": np.cumsum([0, *(len(m.rotations) for m in motions)]).astype(np.int64),
        "fps": np.array(float(fps)),
        "names": np.array([m.name for m in motions]),
        "labels": np.array([clip.label for clip in clips]),
        "alternatives": np.array(["|".join(clip.alternatives) for clip in clips]),
        "loop": np.array([clip.loop for clip in clips]),
        "rest_root_height": np.array([m.rest_root_height for m in motions], dtype=np.float32),
        "source": np.array([clip.source for clip in clips]),
        "licence": np.array([clip.licence for clip in clips]),
        "split": np.array([sides[clip.group] for clip in clips]),
    }


def load_dataset(path: Path) -> MotionSet:
    """Read what `build_dataset` wrote.

    Raises:
        BrokenFileError: a key is missing or lengths do not fit.
    """
    data = read_npz(path, most_bytes=8 << 30)
    wanted = ("axis_angle", "root_position", "contacts", "clip_start", "fps", "names", "labels", "alternatives", "loop",
              "rest_root_height", "split", "source")  # fmt: skip
    missing = [key for key in wanted if key not in data]
    if missing:
        raise BrokenFileError(f"{path}: not a motion set: it lacks {', '.join(missing)}")
    count, frames = len(data["names"]), len(data["axis_angle"])
    start = data["clip_start"]
    if len(start) != count + 1 or start[0] != 0 or start[-1] != frames or (np.diff(start) <= 0).any():
        raise BrokenFileError(f"{path}: 'clip_start' does not divide its {frames} frames into {count} clips")
    return MotionSet(
        axis_angle=data["axis_angle"],
        root_position=data["root_position"],
        contacts=data["contacts"],
        clip_start=start,
        fps=float(data["fps"]),
        names=tuple(map(str, data["names"])),
        labels=tuple(map(str, data["labels"])),
        alternatives=tuple(tuple(filter(None, str(a).split("|"))) for a in data["alternatives"]),
        loop=tuple(map(bool, data["loop"])),
        rest_root_height=data["rest_root_height"],
        split=tuple(map(str, data["split"])),
        source=tuple(map(str, data["source"])),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of `python -m motiongen.dataset`; also `motiongen import`."""
    parser = argparse.ArgumentParser(prog="motiongen import", description="Motion files to one training set.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE_OR_FOLDER")
    parser.add_argument(
        "--labels", type=Path, help="CSV with the columns clip, label, alternatives, loop, source, licence"
    )
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--no-mirror", action="store_true", help="leave out mirror images")
    parser.add_argument("--takes", type=int, default=4, help="takes of each procedural action of our own; 0 for none")
    chosen = parser.parse_args(arguments)
    try:
        ours = procedural_clips(takes=chosen.takes) if chosen.takes > 0 else []
        report = build_dataset(chosen.paths, chosen.labels, chosen.out, chosen.fps, not chosen.no_mirror, ours)
    except AvatarGenError as error:
        sys.stderr.write(f"motiongen: {error}\n")
        return error.exit_code
    for file, reason in report.skipped:
        sys.stderr.write(f"skipped {file}: {reason}\n")
    sys.stderr.write(f"{report.clips} clips, {report.frames} frames, {len(report.skipped)} files skipped\n")
    sys.stdout.write(f"{chosen.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
