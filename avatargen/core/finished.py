"""A finished run, read back from its folder: what it made, without making anything again."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatargen.core.errors import BrokenFileError, InputError
from avatargen.core.files import load_tensors
from avatargen.core.runs import avatar_name, unpack_motion, unpack_rigged, unpack_shape
from avatargen.core.values import Motion, RiggedMesh, Shape

_LAST_LOOKS = ("patterned", "refined")
"""Stages that change the sculpted avatar, the last one first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """What a run left behind."""

    folder: Path
    name: str
    """Made of the texts: what the mesh is called in the run's own files."""
    shape: Shape
    avatar: RiggedMesh
    motions: tuple[Motion, ...]
    """As they were generated, not yet scaled to the avatar; none if the run was not asked for any."""
    record: dict[str, Any]
    """The content of run.json."""

    @property
    def motion(self) -> Motion | None:
        """The first motion."""
        return self.motions[0] if self.motions else None

    @property
    def body_licence(self) -> str:
        """What may be done with the body that the avatar was made from."""
        licences = self.record.get("licences", {})
        return next((str(text) for part, text in licences.items() if part.startswith("body")), "")


def read_finished(folder: Path) -> Finished:
    """The run in `folder`.

    Raises:
        InputError: there is no run, or it never finished, or a later one into the same folder did not.
        BrokenFileError: run.json or a stage cannot be read; the message names the file.
    """
    record = _record(folder)
    stages = record.get("stages", {})
    texts = record["texts"]
    return Finished(
        folder=folder,
        name=avatar_name(texts),
        shape=_stage(folder, "shape", stages, unpack_shape),
        avatar=_stage(folder, next((n for n in _LAST_LOOKS if n in stages), "avatar"), stages, unpack_rigged),
        motions=_motions(folder, record),
        record=record,
    )


def read_motions(folder: Path) -> tuple[Motion, ...]:
    """The motions of the finished run in `folder`, without its avatar.

    Raises:
        As `read_finished`; InputError also where the run has no motion.
    """
    record = _record(folder)
    if not record.get("motion"):
        raise InputError(f"{folder} is a run without a motion; name one that was made with --motion")
    return _motions(folder, record)


def _motions(folder: Path, record: dict[str, Any]) -> tuple[Motion, ...]:
    """In the order of the texts: the stages `motion`, `motion_2` and so on."""
    if not record.get("motion"):
        return ()
    stages = record.get("stages", {})
    names = ["motion", *itertools.takewhile(stages.__contains__, (f"motion_{n}" for n in itertools.count(2)))]
    return tuple(_stage(folder, name, stages, unpack_motion) for name in names)


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    if not folder.is_dir():
        raise InputError(f"no such run: {folder}; name the folder that avatargen printed at the end of a run")
    if not path.is_file():
        begun = " (it was begun but never finished; run the same command again with --resume)"
        raise InputError(f"{folder} holds no finished run: run.json is missing{begun * (folder / '.work').is_dir()}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path} cannot be read: {error}\n  {_AGAIN}") from error
    if not _is_record(record):
        raise BrokenFileError(f"{path} is not the record of a run\n  {_AGAIN}")
    return record


def _is_record(record: object) -> bool:
    """Whether the parts that are used later are what a run writes."""
    if not isinstance(record, dict) or "texts" not in record:
        return False
    sections = [record.get(key, {}) for key in ("texts", "stages", "licences", "settings", "guidance")]
    if not all(isinstance(section, dict) for section in [*sections, record.get("description") or {}]):
        return False
    return all(isinstance(text, str | None) for text in record["texts"].values())


_AGAIN = "Make the run again: its own command with --resume takes what is still good."


def _stage(folder: Path, name: str, keys: dict[str, str], unpack: Any) -> Any:
    path = folder / ".work" / f"{name}.safetensors"
    try:
        tensors, metadata = load_tensors(path)
        value = unpack(tensors, json.loads(metadata["extra"]))
    except FileNotFoundError:
        raise BrokenFileError(f"{path} is missing, though the run is finished\n  {_AGAIN}") from None
    except BrokenFileError as error:
        raise BrokenFileError(f"{str(error).splitlines()[0]}\n  {_AGAIN}") from error
    except Exception as error:  # whatever a value of another shape or kind meets on its way
        raise BrokenFileError(f"{path} does not hold what it should ({error})\n  {_AGAIN}") from error
    if name in keys and keys[name] != metadata.get("key"):
        raise InputError(
            f"{folder} is in the middle of another run: {path.name} is newer than run.json\n"
            "  Let that run finish, or go on with it: the same command with --resume."
        )
    return value
