"""Do texts become motions that do what they say, stand on the floor, and differ by seed?

Usage: python benchmarks/motion.py [--texts 40] [--seed-texts 10] [--seeds 10] [--original 0] [--data set.npz]
           [--quality draft] [--sheets folder] [--keep folder] [--json out.json]

One motion of each text in `motion_texts.csv` with the embedded guidance: its physical check (`motiongen.checks`), its
place among all texts by guidance score, skate, penetration and jerk, and the seconds it took. Then `--seeds` seeds of
each of `--seed-texts` texts: broken poses, and how far seeds are apart beside how far actions are. `--original N`
also runs the original's recipe (its losses, one random start, 5,000 steps, two frames a step) on N texts.
`--data` names the motion set, for the jerk and pace of its clips; without it the motion codebook stands in.
"""

import argparse
import csv
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import torch
from PIL import Image, ImageDraw
from record import save

from avatargen.body.open_body import load_open_body
from avatargen.body.skeleton import limit_excess
from avatargen.core.config import load_settings
from avatargen.core.files import write_whole
from avatargen.core.settings import GuidanceSettings
from avatargen.core.values import Motion
from avatargen.guidance.load import load_guidance
from avatargen.render.cameras import orbit
from avatargen.render.picture import render_mesh
from motiongen.candidates import prompt_feature
from motiongen.checks import Seen, passes
from motiongen.dataset import load_dataset
from motiongen.generate import finish_motion, generate_motion, load_models
from motiongen.kinematics import positions_from_world, world_rotations
from motiongen.motion_features import heading, yaw_matrix
from motiongen.optimize import steady_frames
from motiongen.physics import floor_penetration, foot_skate_ratio, mean_jerk
from motiongen.puppet import make_puppet, pictures

FRAMES, VIEWS = 10, (-40.0, 0.0, 40.0)
BROKEN_DEG = 25.0
SNAP_DEG = 70.0


def read_texts(limit: int) -> list[dict[str, str]]:
    rows = list(csv.DictReader(Path(__file__).with_name("motion_texts.csv").read_text("utf-8").splitlines()))
    return [rows[int(i)] for i in np.unique(np.linspace(0, len(rows) - 1, min(limit, len(rows))).round())]


def seen_features(motion: Motion, guidance, puppet) -> torch.Tensor:
    """Mean unit feature per frame over the views, [frames, d]."""
    rows = steady_frames(len(motion.rotations), FRAMES)
    with torch.no_grad():
        images = pictures(puppet, torch.from_numpy(motion.rotations[rows]).float(), VIEWS, guidance.image_size)
        found = [guidance.encode_image(part) for part in images.split(15)]
    return torch.nn.functional.normalize(torch.cat(found).unflatten(0, (FRAMES, len(VIEWS))).mean(1), dim=-1)


def scores_of(features: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """Score of a motion with each text: mean of the better half of its frames' cosines."""
    return (features @ texts.T).topk(FRAMES // 2, dim=0).values.mean(0)


def excess(motion: Motion) -> torch.Tensor:
    """Largest excess of each joint over its limits, degrees; some training clips go beyond, too. [24]."""
    return torch.rad2deg(limit_excess(torch.from_numpy(motion.rotations).float())).amax(0)


def broken(motion: Motion, usual: torch.Tensor) -> float:
    """How far the worst joint is beyond its limits and beyond all training clips (`usual`, per joint), degrees.

    999 for numbers that are not finite or a joint that snaps.
    """
    rotations = torch.from_numpy(motion.rotations).float()
    if not bool(rotations.isfinite().all()):
        return 999.0
    step = rotations[1:] @ rotations[:-1].transpose(-1, -2)
    angle = torch.rad2deg(torch.acos(((step.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)))
    snaps = float(angle[:, 1:].max()) * motion.fps / 30.0 > SNAP_DEG
    return 999.0 if snaps else max(0.0, float((excess(motion) - usual).max()))


def inner_joints(motion: Motion, joints: np.ndarray) -> np.ndarray:
    """Joints relative to the pelvis, in the heading of the first frame's root."""
    world = world_rotations(motion.rotations.astype(float))
    first = torch.from_numpy(world[0, 0])
    world = yaw_matrix(-heading(first)).numpy() @ world
    places = positions_from_world(world, motion.root_position.astype(float), joints)
    return places - places[:, :1]


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())


def reference(data: Path | None, models, puppet, settings, joints: np.ndarray) -> tuple[dict[str, float], torch.Tensor]:
    """Jerk and pace of the training clips, or of the motion codebook decoded; what their joints reach beyond limits."""
    if data is not None:
        motions = load_dataset(data)
        picked = [k for k in range(len(motions)) if motions.split[k] == "train" and "_mirrored" not in motions.names[k]]
        clips = [motions.motion(k) for k in picked if motions.clip_start[k + 1] - motions.clip_start[k] > 8]
    else:
        rows = range(0, len(models.motions.latents), 12)
        clips = [finish_motion(models.motions.latents[k], models.vae, puppet, settings, "x") for k in rows]
    pace = [Seen(motion=clip, joints=joints).pace for clip in clips]
    told = {
        "jerk": statistics.fmean(mean_jerk(clip, joints) for clip in clips),
        "pace median": float(np.median(pace)),
        "pace 60th": float(np.percentile(pace, 60)),
    }
    return told, torch.stack([excess(clip) for clip in clips]).amax(0)


def strip(motion: Motion, puppet, count: int = 8, size: int = 112) -> np.ndarray:
    """A row of frames, seen slightly from the side, the floor at one height."""
    rows = steady_frames(len(motion.rotations), count)
    root = torch.from_numpy(motion.root_position[rows]).float()
    level = root * torch.tensor([0.0, 1.0, 0.0])
    points = puppet.pose(torch.from_numpy(motion.rotations[rows]).float(), level)
    cameras = orbit(torch.full((count,), 30.0), 8.0, 4.6, (0.0, 0.85, 0.0), 30.0, size)
    with torch.no_grad():
        images = render_mesh(points, puppet.faces, cameras, puppet.colors)
    return (images.permute(0, 2, 3, 1).clamp(0, 1).numpy() * 255).astype(np.uint8).swapaxes(0, 1).reshape(size, -1, 3)


def save_sheet(path: Path, motions: list[Motion], passed: list[bool], puppet) -> None:
    """A row of frames for each motion, green at its left if it passed, red if not."""
    rows = []
    for motion, fine in zip(motions, passed, strict=True):
        row = strip(motion, puppet)
        row[:, :4] = (60, 170, 60) if fine else (200, 50, 50)
        rows.append(row)
    write_whole(path, imageio.imwrite("<bytes>", np.concatenate(rows), extension=".png"))


def overview(motions: list[Motion], puppet, size: int = 84) -> np.ndarray:
    """All motions on one picture in two columns, each row with its text."""
    rows = []
    for motion in motions:
        row = Image.new("RGB", (120 + 7 * size, size), "white")
        row.paste(Image.fromarray(strip(motion, puppet, 7, size)), (120, 0))
        ImageDraw.Draw(row).text((6, size // 2 - 6), motion.name, fill="black")
        rows.append(np.asarray(row))
    rows += [np.full_like(rows[0], 255)] * (len(rows) % 2)
    half = len(rows) // 2
    return np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)


def original_recipe(settings):
    return replace(settings, losses="original", starts=1, prior_starts=1, steps=5000, latent_rate=0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=40)
    parser.add_argument("--only", default="", help="made of the texts: these alone, by commas; places are among all")
    parser.add_argument("--seed-texts", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--original", type=int, default=0)
    parser.add_argument("--original-steps", type=int, default=5000)
    parser.add_argument("--quality", default="draft")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for motions and features, to look at later")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    settings = load_settings(quality=options.quality, overrides=options.set).motion
    body, guidance = load_open_body(), load_guidance(GuidanceSettings(model="embedded"))
    models, puppet = load_models(settings), make_puppet(body)
    joints = puppet.joints[:24].double().numpy()
    told, usual = reference(options.data, models, puppet, settings, joints)
    rows = read_texts(options.texts)
    texts = torch.cat([prompt_feature(guidance, row["text"]) for row in rows])
    motions, results = [], []
    only = [text.strip() for text in options.only.split(",") if text.strip()]
    for index, row in enumerate(rows):
        if only and row["text"] not in only:
            continue
        begun, used = time.perf_counter(), time.process_time()
        motion = generate_motion(row["text"], body, guidance, settings, 0, models=models)
        seconds, processor = time.perf_counter() - begun, time.process_time() - used
        motions.append(motion)
        seen = _seen(motion, joints, told)
        features = seen_features(motion, guidance, puppet)
        scores = scores_of(features, texts)
        results.append({
            "text": row["text"], "check": passes(row["check"], seen), "score": float(scores[index]),
            "place": 1 + int((scores > scores[index] + 1e-6).sum()), "skate": foot_skate_ratio(motion, joints),
            "penetration": floor_penetration(motion, joints), "jerk": mean_jerk(motion, joints),
            "beyond limits": broken(motion, usual), "seconds": seconds, "processor": processor,
        })  # fmt: skip
        said = {k: round(v, 3) if isinstance(v, float) else v for k, v in results[-1].items()}
        print("  ".join(f"{k} {v}" for k, v in said.items()), flush=True)
        if options.keep is not None:
            name = row["text"].replace(" ", "_")
            options.keep.mkdir(parents=True, exist_ok=True)
            np.savez(
                options.keep / f"{name}.npz", rotations=motion.rotations, root_position=motion.root_position,
                fps=motion.fps, height=motion.rest_root_height, features=features.numpy(), texts=texts.numpy(),
            )  # fmt: skip
    summary = summarise(results, told)
    if options.sheets is not None:
        for begin in range(0, len(motions), 10):
            part = slice(begin, begin + 10)
            passed = [r["check"] for r in results[part]]
            save_sheet(options.sheets / f"motions_{begin:02d}.png", motions[part], passed, puppet)
        picture = imageio.imwrite("<bytes>", overview(motions, puppet), extension=".jpg", quality=85)
        write_whole(options.sheets / "all.jpg", picture)
    if options.seeds > 1 and options.seed_texts > 0:
        summary |= seeds_apart(motions, rows, told, options, settings, body, guidance, models, puppet, usual)
    if options.original > 0:
        recipe = replace(original_recipe(settings), steps=options.original_steps)
        summary |= against_original(rows, results, options.original, recipe, body, guidance, models, puppet, texts)
    for key, value in summary.items():
        print(f"{key:45} {value:.3f}" if isinstance(value, float) else f"{key:45} {value}")
    save(options.json, {"summary": summary, "reference": told, "motions": results}, options)


def _seen(motion: Motion, joints: np.ndarray, told: dict[str, float]) -> Seen:
    return Seen(motion=motion, joints=joints, lively=(told["pace median"], told["pace 60th"]))


def summarise(results: list[dict], told: dict[str, float]) -> dict[str, object]:
    def mean(key: str) -> float:
        return statistics.fmean(float(r[key]) for r in results)

    return {
        "physical checks true (bar 0.85)": mean("check"),
        "failed": ", ".join(r["text"] for r in results if not r["check"]),
        "right text in the top 3 (bar 0.80)": statistics.fmean(float(r["place"] <= 3) for r in results),
        "below the top 3": ", ".join(f"{r['text']} ({r['place']})" for r in results if r["place"] > 3),
        "foot skate (bar 0.05)": mean("skate"),
        "penetration, m (bar 0.01)": mean("penetration"),
        "jerk beside the training clips' (bar 1.5)": mean("jerk") / told["jerk"],
        "worst joint beyond limits and clips, degrees": max(float(r["beyond limits"]) for r in results),
        "processor seconds a motion": mean("processor"),
    }


def seeds_apart(motions, rows, told, options, settings, body, guidance, models, puppet, usual) -> dict[str, object]:
    joints = puppet.joints[:24].double().numpy()
    check = {row["text"]: row["check"] for row in rows}
    picked = np.unique(np.linspace(0, len(motions) - 1, min(options.seed_texts, len(motions))).round().astype(int))
    within, worst, count, bad, fine = [], 0.0, 0, [], 0
    for text in (motions[index].name for index in picked):
        made, kept, passed = [], [], []
        for seed in range(1, options.seeds + 1):
            motion = generate_motion(text, body, guidance, settings, seed, models=models)
            beyond = broken(motion, usual)
            worst, count = max(worst, beyond), count + 1
            bad += [f"{text}/{seed}"] * (beyond > BROKEN_DEG)
            made.append(inner_joints(motion, joints))
            kept.append(motion)
            passed.append(passes(check[text], _seen(motion, joints, told)))
        apiece = [apart(a, b) for i, a in enumerate(made) for b in made[:i]]
        within, fine = within + apiece, fine + sum(passed)
        print(f"seeds of {text!r}: {statistics.fmean(apiece):.3f} m apart, checks {sum(passed)}", flush=True)
        if options.sheets is not None:
            save_sheet(options.sheets / f"seeds_{text.replace(' ', '_')}.png", kept, passed, puppet)
    inner = [inner_joints(motion, joints) for motion in motions]
    between = [apart(a, b) for i, a in enumerate(inner) for b in inner[:i]]
    return {
        "seeds tried": count,
        f"seeds with a broken pose ({BROKEN_DEG:g} degrees)": len(bad),
        "which": ", ".join(bad),
        "worst of all seeds, degrees": worst,
        "physical checks true, all seeds": fine / count,
        "seeds apart over actions apart (bar 0.5)": statistics.fmean(within) / statistics.fmean(between),
    }


def against_original(rows, results, count, recipe, body, guidance, models, puppet, texts) -> dict[str, object]:
    ratios, gains = [], []
    place = {row["text"]: index for index, row in enumerate(rows)}
    for which in np.unique(np.linspace(0, len(results) - 1, min(count, len(results))).round().astype(int)):
        ours = results[which]
        used = time.process_time()
        motion = generate_motion(ours["text"], body, guidance, recipe, 0, models=models)
        took = time.process_time() - used
        score = float(scores_of(seen_features(motion, guidance, puppet), texts)[place[ours["text"]]])
        ratios.append(took * 5000 / recipe.steps / ours["processor"])
        gains.append(ours["score"] - score)
        print(f"original, {ours['text']}: {took:.0f} s, score {score:.3f} to ours {ours['score']:.3f}", flush=True)
    reckoned = "" if recipe.steps == 5000 else f", reckoned from {recipe.steps}"
    return {
        f"times as fast as the original's 5000 steps{reckoned} (bar 20)": statistics.fmean(ratios),
        f"score over the original's after {recipe.steps} steps (bar 0)": statistics.fmean(gains),
    }


if __name__ == "__main__":
    main()
