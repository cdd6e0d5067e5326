"""A strict reader of Biovision's BVH: every fault is reported with file and line.

A joint's rotation is the product of its channels' elementary rotations in the order of the file, on
column vectors: `Zrotation Xrotation Yrotation` means `Rz Rx Ry`. Position channels replace the joint's
OFFSET. Angles are degrees in the file and radians here; lengths keep the file's unit.
"""

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatargen.core.errors import BrokenFileError

_AXES = {"X": 0, "Y": 1, "Z": 2}
_CHANNELS = {f"{axis}{kind}": (kind, _AXES[axis]) for axis in "XYZ" for kind in ("position", "rotation")}
_MAX_JOINTS = 1000
_MAX_FRAMES = 2_000_000
_MAX_TURNS = 6_000_000
"""Joints times frames: 75 joints at 120 frames a second for ten minutes; each takes some hundred bytes."""
_MAX_BYTES = 256 << 20
_MAX_HEADER = 1 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Bvh:
    """What a BVH file says: parents come before children, frames are complete and finite."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "j 3"]
    """Joint in its parent, in the file's unit."""
    ends: tuple[tuple[int, tuple[float, float, float]], ...]
    """End sites: parent joint and offset."""
    translations: Float[np.ndarray, "t j 3"]
    """Joint in its parent per frame: the offset, or the position channels where there are some."""
    rotations: Float[np.ndarray, "t j 3 3"]
    """Child in parent."""
    frame_time: float
    """Seconds."""
    path: str = ""


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, float, float] | None = None
    channels: tuple[tuple[str, int], ...] = ()


class _Header:
    """The tokens of the HIERARCHY block with their line numbers."""

    def __init__(self, path: str, lines: list[str]) -> None:
        self.path = path
        self.tokens = [(token, n) for n, line in enumerate(lines, 1) for token in re.findall(r"[{}]|[^\s{}]+", line)]
        self.at = 0

    def fail(self, reason: str, line: int | None = None) -> BrokenFileError:
        """An error at the last token taken, or at `line`."""
        if line is None:
            line = self.tokens[max(self.at - 1, 0)][1] if self.tokens else 1
        return BrokenFileError(f"{self.path}:{line}: {reason}")

    def take(self, wanted: str | None = None) -> str:
        """The next token; `wanted` must match it."""
        if self.at >= len(self.tokens):
            raise self.fail(f"the hierarchy ends where {wanted or 'more'} was expected; is the file cut off?")
        token, _ = self.tokens[self.at]
        self.at += 1
        if wanted is not None and token.upper() != wanted:
            raise self.fail(f"expected {wanted}, found {token!r}")
        return token

    def name(self) -> str:
        """Everything up to the opening brace: names may hold spaces."""
        words = []
        while (token := self.take()) != "{":
            words.append(token)
        if not words:
            raise self.fail("a joint has no name")
        return " ".join(words)

    def number(self, what: str) -> float:
        """The next token as a finite number."""
        token = self.take()
        try:
            value = float(token)
        except ValueError:
            raise self.fail(f"{what}: {token!r} is not a number") from None
        if not math.isfinite(value) or abs(value) > 1e6:
            raise self.fail(f"{what}: {token} is not a usable number")
        return value

    def offset(self) -> tuple[float, float, float]:
        """Three numbers."""
        return self.number("OFFSET"), self.number("OFFSET"), self.number("OFFSET")


def _read_channels(head: _Header) -> tuple[tuple[str, int], ...]:
    count = head.number("CHANNELS")
    if count != int(count) or not 0 <= count <= 6:
        raise head.fail(f"CHANNELS says {count:g}; a joint has 0 to 6")
    channels = []
    for _ in range(int(count)):
        token = head.take()
        spelled = token[:1].upper() + token[1:].lower()
        if spelled not in _CHANNELS:
            raise head.fail(f"unknown channel {token!r}; channels are {', '.join(_CHANNELS)}")
        channels.append(_CHANNELS[spelled])
    if len(set(channels)) < len(channels) and sum(kind == "position" for kind, _ in channels) > 3:
        raise head.fail("a position channel is named twice")
    return tuple(channels)


def _check_names(head: _Header, joints: list[_Joint]) -> None:
    """Nothing may follow the root's block, and names must differ."""
    if head.at < len(head.tokens):
        raise head.fail(f"unexpected {head.tokens[head.at][0]!r}; one ROOT per file", head.tokens[head.at][1])
    seen: set[str] = set()
    for joint in joints:
        if joint.name in seen:
            raise head.fail(f"two joints are named {joint.name!r}")
        seen.add(joint.name)


def _read_hierarchy(head: _Header) -> tuple[list[_Joint], list[tuple[int, tuple[float, float, float]]]]:
    head.take("HIERARCHY")
    head.take("ROOT")
    joints = [_Joint(head.name(), -1)]
    ends: list[tuple[int, tuple[float, float, float]]] = []
    stack = [0]
    while stack:
        joint = joints[stack[-1]]
        token = head.take()
        match token.upper():
            case "OFFSET":
                joint.offset = head.offset()
            case "CHANNELS":
                joint.channels = _read_channels(head)
            case "JOINT":
                joints.append(_Joint(head.name(), stack[-1]))
                stack.append(len(joints) - 1)
                if len(joints) > _MAX_JOINTS:
                    raise head.fail(f"more than {_MAX_JOINTS} joints")
            case "END":
                head.name()
                head.take("OFFSET")
                ends.append((stack[-1], head.offset()))
                head.take("}")
            case "}":
                if joint.offset is None:
                    raise head.fail(f"joint {joint.name!r} has no OFFSET")
                stack.pop()
            case _:
                raise head.fail(f"unexpected {token!r} in joint {joint.name!r}")
    _check_names(head, joints)
    return joints, ends


def _keyword(path: str, lines: list[str], at: int, keyword: str) -> tuple[float, int]:
    """The number behind `keyword` on the first non-empty line from `at`, and the line after it."""
    while at < len(lines) and not lines[at].strip():
        at += 1
    text = lines[at].strip() if at < len(lines) else ""
    match = re.fullmatch(rf"{keyword}\s*:?\s*(\S+)", text, re.IGNORECASE)
    if match is None:
        raise BrokenFileError(f"{path}:{at + 1}: expected '{keyword}:', found {text[:40]!r}; is the file cut off?")
    try:
        value = float(match.group(1))
    except ValueError:
        raise BrokenFileError(f"{path}:{at + 1}: {keyword}: {match.group(1)!r} is not a number") from None
    return value, at + 1


def _read_frames(path: str, lines: list[str], start: int, width: int, frames: int) -> Float[np.ndarray, "t c"]:
    rows = [(n, line) for n, line in enumerate(lines[start:], start + 1) if line.strip()]
    if len(rows) != frames:
        where = f"{path}:{rows[-1][0] if rows else start}"
        hint = "; is the file cut off?" if len(rows) < frames else ""
        raise BrokenFileError(f"{where}: 'Frames:' says {frames}, the file holds {len(rows)}{hint}")
    values = np.empty((frames, width))
    for row, (n, line) in zip(values, rows, strict=True):
        words = line.split()
        if len(words) != width:
            raise BrokenFileError(f"{path}:{n}: {len(words)} numbers in this frame, the hierarchy has {width} channels")
        try:
            row[:] = [float(word) for word in words]
        except ValueError as error:
            raise BrokenFileError(f"{path}:{n}: {error}") from None
        if not np.isfinite(row).all() or np.abs(row).max(initial=0.0) > 1e7:
            raise BrokenFileError(f"{path}:{n}: a value is NaN, infinite or absurdly large")
    return values


def elementary_rotation(axis: int, angle: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b 3 3"]:
    """Rotation by `angle` radians about x (0), y (1) or z (2)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., axis, axis] = 1.0
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -np.sin(angle)
    return matrix


def _lines(text: str, path: str) -> tuple[list[str], int | None]:
    """The lines, and which of them begins the MOTION block."""
    if text.count("\n") + text.count("\r") > 2 * _MAX_FRAMES:
        raise BrokenFileError(f"{path}:1: more than {2 * _MAX_FRAMES} lines; that is no motion")
    lines = text.lstrip("\ufeff").splitlines()
    motion = next((n for n, line in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    if not lines or not lines[0].strip().upper().startswith("HIERARCHY"):
        raise BrokenFileError(f"{path}:1: not a BVH file: it does not begin with HIERARCHY")
    if sum(map(len, lines[:motion])) > _MAX_HEADER:
        raise BrokenFileError(f"{path}:1: the hierarchy has more than a million characters; no skeleton needs as many")
    return lines, motion


def parse_bvh(text: str, path: str = "text") -> Bvh:
    """What the BVH `text` says; `path` is only named in errors.

    Raises:
        BrokenFileError: anything is missing, doubled, cut off or not finite; names `path` and line.
    """
    lines, motion = _lines(text, path)
    joints, ends = _read_hierarchy(_Header(path, lines[:motion]))
    if motion is None:
        raise BrokenFileError(f"{path}:{len(lines)}: no MOTION block; is the file cut off?")
    if not any(kind == "rotation" for joint in joints for kind, _ in joint.channels):
        raise BrokenFileError(f"{path}:{motion + 1}: no joint has a rotation channel")
    frames, at = _keyword(path, lines, motion + 1, "Frames")
    most = min(_MAX_FRAMES, _MAX_TURNS // len(joints))
    if not (1 <= frames <= most and frames == int(frames)):
        raise BrokenFileError(f"{path}:{at}: 'Frames: {frames:g}'; {len(joints)} joints can have 1 to {most} frames")
    frame_time, at = _keyword(path, lines, at, "Frame Time")
    if not 1e-3 <= frame_time <= 1.0:
        raise BrokenFileError(
            f"{path}:{at}: 'Frame Time: {frame_time:g}' is absurd; usable are 1 to 1000 frames a second"
        )
    width = sum(len(joint.channels) for joint in joints)
    values = _read_frames(path, lines, at, width, int(frames))
    offsets = np.array([joint.offset for joint in joints], dtype=float)
    translations = np.tile(offsets, (int(frames), 1, 1))
    rotations = np.tile(np.eye(3), (int(frames), len(joints), 1, 1))
    column = itertools.count()
    for index, joint in enumerate(joints):
        for kind, axis in joint.channels:
            channel = values[:, next(column)]
            if kind == "position":
                translations[:, index, axis] = channel
            else:
                rotations[:, index] = rotations[:, index] @ elementary_rotation(axis, np.radians(channel))
    return Bvh(
        names=tuple(joint.name for joint in joints),
        parents=tuple(joint.parent for joint in joints),
        offsets=offsets,
        ends=tuple(ends),
        translations=translations,
        rotations=rotations,
        frame_time=frame_time,
        path=path,
    )


def read_bvh(path: Path) -> Bvh:
    """The BVH file at `path`.

    Raises:
        BrokenFileError: as `parse_bvh`, or the file is not text.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise BrokenFileError(f"{path}: larger than {_MAX_BYTES >> 20} MB; cut the recording into clips")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # which takes any byte
    if "\x00" in text:
        raise BrokenFileError(f"{path}: not a text file (it holds zero bytes)")
    return parse_bvh(text, str(path))
