"""One run's figures: in short for every run.json, in full for `avatargen evaluate`."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from avatargen.body.model import BodyModel
from avatargen.core.characters import read_characters
from avatargen.core.config import confs_dir
from avatargen.core.finished import Finished
from avatargen.core.values import Motion, RiggedMesh, Shape
from avatargen.evaluate.colors import PartColor, part_colors
from avatargen.evaluate.integrity import crossings_in_a_pose, mesh_report, texel_density
from avatargen.evaluate.judge import judge, judge_colors, look_distance
from avatargen.evaluate.moving import motion_report, pairwise_distance
from avatargen.evaluate.rig import stretch_report, weight_report
from avatargen.evaluate.validator import validator_report
from avatargen.guidance.model import Guidance
from avatargen.pipeline import animated
from motiongen.procedural.actions import procedural_clips

_STRIDE = 6
"""Every which frame of the motion set is posed for the stretch."""


def short_report(
    text: str | None, shape: Shape, avatar: RiggedMesh, motion: Motion | None, body: BodyModel, *, outfit: bool = True
) -> dict[str, Any]:
    """What a run can say of its own result in a second or two, without a text-image model.

    `motion` is scaled to the avatar. `text` is the description that the colors were asked by; `outfit` tells whether
    what it names hangs free, where it can.
    """
    return {
        "mesh": mesh_report(avatar.mesh, crossings=False),
        "texels_per_cm": texel_density(avatar),
        "rig": weight_report(avatar),
        "part_colors": _colors(part_colors(text, avatar, shape, body, outfit=outfit)) if text else None,
        "motion": motion_report(motion, avatar) if motion is not None else None,
    }


def full_report(
    run: Finished, body: BodyModel, models: Mapping[str, Guidance], distractors: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything that can be measured on a finished run.

    Args:
        run: from `avatargen.core.finished.read_finished`.
        body: the one the run was made with.
        models: judges by role, e.g. "guiding" and "other"; the measured colors always judge, too, as "measured".
        distractors: texts among which the judges look for the run's own; the shipped characters if empty.
    """
    avatar, record = run.avatar, run.record
    motion = animated(run.motion, avatar) if run.motion is not None else None
    text = (record.get("description") or {}).get("text")
    # A run from before there were outfits has painted all of its text.
    outfit = bool(record.get("settings", {}).get("implicit", {}).get("outfit", False))
    others = list(distractors) or character_texts()
    verdicts: dict[str, Any] = {}
    for role, model in models.items():
        if text:
            verdicts[role] = {"model": model.name, "version": model.version} | {
                look: asdict(judge(avatar, text, others, model, textured=look == "textured"))
                for look in ("textured", "textureless")
            }
    measured = judge_colors(avatar, text, others, run.shape, body, outfit=outfit) if text else None
    if measured is not None:
        verdicts["measured"] = {"model": "measured colors", "textured": asdict(measured)}
    return {
        "run": run.folder.name,
        "texts": record["texts"],
        "description": text,
        "seed": record.get("seed"),
        "quality": record.get("quality"),
        "judges": verdicts,
        "part_colors": _colors(part_colors(text, avatar, run.shape, body, outfit=outfit)) if text else None,
        "mesh": mesh_report(avatar.mesh) | {"crossing_faces_in_a_pose": crossings_in_a_pose(avatar)},
        "texels_per_cm": texel_density(avatar),
        "rig": weight_report(avatar) | {"stretch": stretch_report(avatar, motion_set())},
        "validator": validator_report(run.folder / "avatar.glb"),
        "motion": motion_report(motion, avatar) if motion is not None else None,
        "seconds": record.get("seconds"),
        "peak_memory_mb": record.get("peak_memory_mb"),
        "peak_memory_mb_after": record.get("peak_memory_mb_after"),
        "gpu_memory_mb": record.get("gpu_memory_mb"),
        "device": record.get("device"),
        "versions": record.get("versions"),
    }


def diversity(runs: Sequence[Finished]) -> list[dict[str, Any]]:
    """For each set of texts that several runs share, mean distances between two of them, None where there are no two.

    `joint_distance`: of the motions, metres a joint; `look_distance`: of the pictures, 0..1 a color channel where a
    figure is; `beta_distance`: of the coarse bodies, root mean square in standard deviations a component.
    """
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        groups.setdefault("; ".join(f"{k}: {v}" for k, v in sorted(run.record["texts"].items()) if v), []).append(run)
    found = []
    for texts, same in groups.items():
        if len(same) < 2:
            continue
        moving = [(animated(r.motion, r.avatar), r.avatar) for r in same if r.motion is not None]
        betas = [np.asarray(r.shape.betas, dtype=np.float64) for r in same]
        gaps = [float(np.sqrt(((one - two) ** 2).mean())) for one, two in itertools.combinations(betas, 2)]
        found.append(
            {
                "texts": texts,
                "seeds": [r.record.get("seed") for r in same],
                "joint_distance": pairwise_distance([m for m, _ in moving], [a for _, a in moving]),
                "look_distance": look_distance([r.avatar for r in same]),
                "beta_distance": round(float(np.mean(gaps)), 4),
            }
        )
    return found


@cache
def motion_set() -> np.ndarray:
    """Rotations [t, 24, 3, 3] of the procedural actions, every `_STRIDE`-th frame."""
    clips = procedural_clips(takes=1)
    return np.concatenate([clip.motion.rotations[::_STRIDE] for clip in clips]).astype(np.float32)


def character_texts() -> list[str]:
    """Descriptions of the characters that ship, as distractors."""
    return list(read_characters(confs_dir() / "characters.conf").values())


def part_color_share(report: Mapping[str, Any]) -> float | None:
    """Share of the named parts that have their color; None where the text names none."""
    parts = report.get("part_colors")
    return sum(p["right"] for p in parts) / len(parts) if parts else None


def _colors(parts: Sequence[PartColor]) -> list[dict[str, Any]]:
    return [asdict(part) for part in parts]
