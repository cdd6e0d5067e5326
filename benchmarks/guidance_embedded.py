"""What can the embedded guidance tell, and does it paint cleanly?

    python benchmarks/guidance_embedded.py --motions set.npz --out report --checks all

Prints a table and writes `guidance_embedded.json` and contact sheets. Captions come from a grammar of this file;
bodies, views, lights and colors from seeds that training does not use; poses from the motion set's validation clips.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from guidance_studio import BOTTOMS, EXTRA, FEET, MEASURED, TOPS, Studio, caption_of, one_view, outfit, save_sheet
from record import save
from torch import Tensor

from avatargen.body.posing import pose_body
from avatargen.core.rng import numpy_stream, stream
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.core.settings import ImplicitSettings
from avatargen.evaluate.colors import BASIC, color_distance, nearest_basic
from avatargen.guidance import embedded
from avatargen.guidance.clip_model import VisionTransformer
from avatargen.guidance.embedded.image_tower import ImageTower
from avatargen.guidance.embedded.model import WEIGHTS, EmbeddedGuidance, load_embedded
from avatargen.guidance.embedded.slots import SLOTS, TRAITS
from avatargen.guidance.losses import similarity_loss, unit
from avatargen.guidance.model import fit_above_usual
from avatargen.render.cameras import orbit
from avatargen.render.picture import render_mesh
from avatargen.shape.query import query_vertices, render_query
from avatargen.training.gbuffers import SIZE, render_buffers
from avatargen.training.held_out import judge
from avatargen.training.motions import central_frames, clips_of, even_frames, read_motions
from avatargen.training.pictures import Source
from avatargen.training.pose_words import joints_of
from avatargen.training.processes import in_processes
from avatargen.training.ship import network_state
from avatargen.training.traits import traits_of
from avatargen.training.wardrobe import fill_wardrobe

ODD = {
    "scarlet": "be0119", "crimson": "8c000f", "navy": "01153e", "emerald": "01a049", "teal": "029386",
    "beige": "e6daa6", "maroon": "650021", "lavender": "c79fef", "mustard": "ceb301", "charcoal": "343837",
    "ivory": "ffffcb", "magenta": "c20078",
}  # fmt: skip
"""Less common color words, and what people call so (sRGB, the xkcd color survey, CC0): not this model's own table."""
_KEPT = 0.2
"""Of the largest difference of a channel (0..1): up to here a color is what it was."""
SHIPPED = Path(embedded.__file__).parent / WEIGHTS
SAITAMA = "a bald man in a yellow jumpsuit with red gloves, red boots and a white cape"


def retrieval_and_binding(studio: Studio, guidance, count: int, seed: int) -> dict[str, float]:
    generator, draws = numpy_stream(seed, "bench/outfits"), stream(seed, "bench/outfits")
    captions, swapped, images = [], [], []
    while len(captions) < count:
        caption, wear, worn = outfit(generator, list(BASIC))
        if caption in captions:
            continue
        first, second = list(worn)[:2]
        captions.append(caption)
        swapped.append(caption_of({**worn, first: worn[second], second: worn[first]}))
        images.append(one_view(studio, studio.dressed(wear), draws))
    with torch.no_grad():
        seen = guidance.encode_image(torch.cat(images))
        words, others = guidance.encode_text(captions), guidance.encode_text(swapped)
        plain, scores = seen @ words.T, fit_above_usual(guidance, seen, words)
        wrong = fit_above_usual(guidance, seen, others).diagonal()
    right = scores.diagonal()
    return {
        "outfit retrieval top-1 of 100": float((scores.argmax(1) == torch.arange(count)).float().mean()),
        "outfit retrieval top-1 of 100, by the cosine alone": float(
            (plain.argmax(1) == torch.arange(count)).float().mean()
        ),
        "colors swapped: right caption wins": float((right > wrong).float().mean()),
    }


PAIRS = {
    "height": ("a tall person", "a short person"),
    "girth": ("a fat person", "a thin person"),
    "muscle": ("a muscular person", "a weak person"),
    "gender": ("a woman", "a man"),
    "age": ("an old person", "a young person"),
    "shoulders": ("broad shoulders", "narrow shoulders"),
    "legs": ("long legs", "short legs"),
    "hips": ("wide hips", "narrow hips"),
}


def shape_pairs(studio: Studio, guidance, seed: int, bodies: int = 60) -> dict[str, float]:
    betas = np.clip(numpy_stream(seed, "bench/bodies").normal(0, 1, (bodies, 16)), -2.5, 2.5).astype(np.float32)
    truth = traits_of(studio.body, betas)
    with torch.no_grad():
        rows = [
            guidance.encode_image(render_query(studio.body, query_vertices(studio.body, b[None]))[0]).mean(0)
            for b in torch.from_numpy(betas)
        ]
        seen = torch.stack(rows)
    out, all_right = {}, []
    for trait, (more, less) in PAIRS.items():
        text = guidance.encode_text([more, less])
        score = seen @ (text[0] - text[1])
        value = torch.from_numpy(truth[:, TRAITS.index(trait)])
        gap = value[:, None] - value[None]
        right = (torch.sign(gap) == torch.sign(score[:, None] - score[None]))[gap > 1.0]
        out[f"shape pairs, {more} / {less}"] = float(right.float().mean())
        all_right.append(right.float().mean())
    out["shape pairs, mean"] = float(torch.stack(all_right).mean())
    return out


@torch.no_grad()
def pose_feature(studio: Studio, guidance, frame: np.ndarray, draws: torch.Generator) -> Tensor:
    """Mean feature of the plain body in a pose [24, 3], from three sides of where it looks."""
    rotations = matrix_from_axis_angle(torch.from_numpy(frame.copy())[None])
    posed = pose_body(studio.body, torch.zeros(1, 16), rotations)
    center = (posed.vertices[0].amax(0) + posed.vertices[0].amin(0)) / 2
    yaw = _heading(posed.joints[0])
    views = orbit([yaw - 30.0, yaw, yaw + 30.0], 5.0, 4.4, center, 28, 128)
    image = render_mesh(posed.vertices[0], studio.body.faces, views, studio.look, generator=draws)
    return guidance.encode_image(image).mean(0)


def poses(studio: Studio, guidance, motions: Path, seed: int, actions: int = 50) -> dict[str, float]:
    data = read_motions(motions)
    generator, draws = numpy_stream(seed, "bench/poses"), stream(seed, "bench/poses")
    out = {}
    for split in ("val", "train"):
        labels = sorted({data.phrases[c][0] for c in clips_of(data, split)})
        generator.shuffle(labels)
        labels = labels[:actions]
        text = guidance.encode_text(labels)
        first = fifth = total = 0
        for label in labels:
            clips = [c for c in clips_of(data, split) if data.phrases[c][0] == label]
            for _ in range(3):
                clip = int(generator.choice(clips))
                frame = data.axis_angle[int(generator.choice(central_frames(data, clip)))]
                scores = fit_above_usual(guidance, pose_feature(studio, guidance, frame, draws)[None], text)[0]
                rank = int((scores > scores[labels.index(label)]).sum())
                first, fifth, total = first + (rank == 0), fifth + (rank < 5), total + 1
        out[f"pose of {len(labels)} actions, {split} clips, top-1"] = first / total
        out[f"pose of {len(labels)} actions, {split} clips, top-5"] = fifth / total
    return out | telling_poses(studio, guidance, data, generator, draws, actions)


def dressed(
    motions: Path, garments: Path | None, weights: Path | None, seed: int, bodies: int = 80
) -> dict[str, float]:
    """Share of people's pixels in the right slot: in clothes and hair that training never saw, and bare."""
    data = read_motions(motions)
    frames = even_frames(data, clips_of(data, "val"), 4, numpy_stream(seed, "bench/dressed"))
    tower = ImageTower()
    tower.load_state_dict(network_state(weights or SHIPPED, "tower"))
    kept = fill_wardrobe(garments).apart()[1]
    nothing = np.zeros((0, 1, SIZE, SIZE, 3), dtype=np.uint8), np.zeros((0, len(TRAITS)), dtype=np.float32)
    found = {}
    for said, wardrobe in (("dressed", kept), ("bare", replace(kept, pieces={}))):
        buffers = render_buffers(seed, f"bench/{said}", bodies, frames, wardrobe=wardrobe)
        source = Source(buffers, *nothing, stream(seed, "bench/dressed"))
        wrong = judge(tower.eval(), [source.draw(16, 0) for _ in range(25)])
        found[f"pixels of {said} people in the right slot"] = 1.0 - wrong["pixels"]
        found[f"joints of {said} people, the tower's guess, mm"] = wrong["joints"]
    return found


def telling_poses(studio: Studio, guidance, data, generator, draws, actions: int) -> dict[str, float]:
    """The same for one label of each verb, in the frame of a clip that is farthest from the usual pose."""
    rows: dict[str, list[int]] = {}
    for clip in clips_of(data, "train"):
        rows.setdefault(data.phrases[clip][0], []).append(clip)
    verbs: dict[str, str] = {}
    for label in sorted(rows, key=lambda label: (-len(rows[label]), label)):
        verbs.setdefault(label.split()[0].strip(","), label)
    labels = sorted(verbs.values())
    generator.shuffle(labels)
    labels = labels[:actions]
    text = guidance.encode_text(labels)
    joints = joints_of(data)
    usual = joints.mean(0)
    right = []
    for index, label in enumerate(labels):
        for clip in generator.choice(rows[label], min(3, len(rows[label])), replace=False):
            frames = central_frames(data, int(clip))
            frame = frames[int((joints[frames] - usual).norm(dim=-1).mean(1).argmax())]
            feature = pose_feature(studio, guidance, data.axis_angle[int(frame)], draws)
            scores = fit_above_usual(guidance, feature[None], text)[0]
            right.append(int((scores > scores[index]).sum()))
    ranks = np.array(right)
    told = f"pose of {len(labels)} verbs, most telling frame"
    return {f"{told}, top-1": float((ranks == 0).mean()), f"{told}, top-5": float((ranks < 5).mean())}


def opposites(studio: Studio, guidance, motions: Path, seed: int, count: int = 60) -> dict[str, float]:
    """What a first version has to tell: a punch from a wave, a red shirt from a blue one."""
    data = read_motions(motions)
    generator, draws = numpy_stream(seed, "bench/opposites"), stream(seed, "bench/opposites")
    right = {"a person punching": 0, "a person waving": 0}
    text = guidance.encode_text(list(right))
    for index, said in enumerate(right):
        word = {"punching": "punch", "waving": "wave"}[said.split()[-1]]
        clips = [c for split in ("train", "val") for c in clips_of(data, split) if data.phrases[c][0].startswith(word)]
        for _ in range(count):
            clip = int(generator.choice(clips))
            frame = data.axis_angle[int(generator.choice(central_frames(data, clip)))]
            scores = fit_above_usual(guidance, pose_feature(studio, guidance, frame, draws)[None], text)[0]
            right[said] += int(int(scores.argmax()) == index)
    shirts = guidance.encode_text(["a person in a red shirt", "a person in a blue shirt"])
    told = 0
    for index, name in enumerate(("red", "blue")):
        for _ in range(count // 2):
            rgb = tuple(int(c) for c in np.clip(np.array(BASIC[name]) + generator.integers(-25, 26, 3), 0, 255))
            colors = studio.dressed(dict.fromkeys((*TOPS["shirt"], "shirt_front"), rgb))
            with torch.no_grad():
                scores = guidance.encode_image(one_view(studio, colors, draws)) @ shirts.T
            told += int(int(scores.argmax()) == index)
    found = {f"{said}, against the other": hits / count for said, hits in right.items()}
    return found | {"red shirt against blue shirt": told / (count // 2 * 2)}


def _heading(joints: Tensor) -> float:
    across = joints[1] - joints[2] + joints[16] - joints[17]
    return math.degrees(math.atan2(-float(across[2]), float(across[0])))


@lru_cache(maxsize=1)
def loaded(weights: Path | None) -> tuple[Studio, EmbeddedGuidance]:
    """What every process needs, once."""
    return Studio(), load_embedded(weights=weights)


def painted(weights: Path | None, caption: str, steps: int, seed: int, start: str, pulled: bool) -> Tensor:
    studio, guidance = loaded(weights)
    return studio.paint(guidance, caption, steps, seed, start, ImplicitSettings() if pulled else None)


def paint(
    studio: Studio, weights: Path | None, requests: int, steps: int, seed: int, out: Path, pulled: bool, workers: int
) -> dict[str, float]:
    """Named garments that get their color, and what is not named that keeps its own; a JSON file has each of them.

    `pulled`: not by the similarity alone but with the losses that hold an avatar's paint.
    """
    generator = numpy_stream(seed, "bench/paint")
    told = "paint, pulled" if pulled else "paint"
    asked = [outfit(generator, list(BASIC), 0.6) for _ in range(requests)]
    calls = [(weights, asked[i][0], steps, seed + i, "look" if i % 2 else "grey", pulled) for i in range(requests)]
    start = time.perf_counter()
    *made, hero = in_processes(painted, [*calls, (weights, SAITAMA, steps, seed, "look", pulled)], workers)
    seconds = time.perf_counter() - start
    rows: list[dict[str, str | bool]] = []
    drift, sheets = [], []
    free: list[dict[str, str | float]] = []
    tables = {**TOPS, **BOTTOMS, **FEET, **EXTRA}
    for (_, caption, _, _, begin, _), (_, _, worn), colors in zip(calls, asked, made, strict=True):
        done = set()
        for garment, color in reversed(worn.items()):
            slots = tuple(s for s in tables[garment] if s not in done)
            done |= set(slots)
            if slots:
                got = nearest_basic(studio.mean(colors, studio.of(slots)).numpy())
                rows.append({"garment": garment, "asked": color, "got": got, "right": got == color, "from": begin})
        named = {*done, "shirt_front", "belt"}
        before = studio.look if begin == "look" else torch.full_like(studio.look, 0.6)
        others = [s for s in SLOTS if s not in named and bool(studio.of((s,)).any())]
        same = ((colors - before).abs().amax(1, keepdim=True) < _KEPT).float()
        drift.append(float(studio.mean(same, studio.of(tuple(others)))))
        for slot in others:
            off = float(studio.mean(colors - before, studio.of((slot,))).abs().max())
            free.append({"part": slot, "off": round(off, 3), "caption": caption})
        sheets.append(studio.sheet(colors, caption))
    saitama = {part: nearest_basic(studio.mean(hero, studio.of(slots)).numpy()) for part, slots in MEASURED.items()}
    name = told.replace(", ", "_")
    save_sheet([studio.sheet(hero, SAITAMA), *sheets], out / f"{name}.png")
    outcome = {"garments": rows, "unnamed": free, "Saitama": saitama}
    (out / f"{name}.json").write_text(json.dumps(outcome, indent=1) + "\n")
    kept = np.mean([row["off"] < _KEPT for row in free])
    return {
        f"{told}: named garments nearest to their color of 11 ({len(rows)})": float(
            np.mean([r["right"] for r in rows])
        ),
        f"{told}: unnamed parts whose mean is within 20 % of where it was ({len(free)})": float(kept),
        f"{told}: unnamed surface within 20 % of where it was": float(np.mean(drift)),
        f"{told}: seconds a step of 4 views, in all": seconds / len(calls) / steps,
    }


def odd_words(studio: Studio, guidance, steps: int, seed: int, out: Path) -> dict[str, float]:
    """Which words bring a shirt at least half of the way from the plain body to what people call so, in CIE Lab.

    Not by the nearest of 11 basic colors: people's own maroon is nearest to brown there, their teal to grey.
    """
    shirt = studio.of(("chest", "belly"))
    left, sheets = {}, []
    for i, (word, code) in enumerate(ODD.items()):
        colors = studio.paint(guidance, f"a person in a {word} shirt", steps, seed + i)
        goal = np.frombuffer(bytes.fromhex(code), dtype=np.uint8)[None] / 255.0
        before, after = (
            float(color_distance(c[shirt].mean(0).numpy().astype(np.float64), goal)[0]) for c in (studio.look, colors)
        )
        left[word] = after / before
        sheets.append(studio.sheet(colors, f"a {word} shirt: {before:.0f} -> {after:.0f}"))
    save_sheet(sheets, out / "words.png")
    figures = {f"{word}: distance that is left": share for word, share in left.items()}
    return figures | {f"less common color words ({len(ODD)})": float(np.mean([s <= 0.5 for s in left.values()]))}


def unknown_words(guidance) -> dict[str, float]:
    """See `benchmarks/open_words.py`, which also says which words went wrong."""
    from open_words import figures, judge_all

    return figures(judge_all(guidance.unknown)) if guidance.unknown else {}


def speed(guidance) -> dict[str, float]:
    """Processor seconds of a look, forward and backward; baseline: CLIP's ViT-B/32, with any weights."""
    out = {}
    for caption in ("a red shirt", "tall"):
        text = guidance.encode_text([caption])
        out[f"seconds, 4 views forward and backward, {caption!r}"] = look(guidance.encode_image, text, 128)
    tower = VisionTransformer(224, 32, 768, 12, 512).requires_grad_(False)
    for number, parameter in enumerate(tower.parameters()):
        parameter.copy_(0.02 * torch.randn(parameter.shape, generator=stream(number, "bench/vit")))
    base = look(lambda images: unit(tower(images)), unit(torch.ones(1, 512)), 224)
    out |= {f"{name}, of ViT-B/32's": taken / base for name, taken in out.items()}
    return out | {"seconds, 4 views forward and backward, ViT-B/32 with random weights (baseline)": base}


def look(encode, text: Tensor, size: int, repeats: int = 5) -> float:
    images, times = torch.rand(4, 3, size, size, generator=stream(0, "bench/look")), []
    for _ in range(repeats):
        moving = images.clone().requires_grad_()
        start = time.process_time()
        similarity_loss(encode(moving), text).backward()
        times.append(time.process_time() - start)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motions", type=Path, help="the motion set, for the pose check")
    parser.add_argument("--garments", type=Path, help="MakeHuman's clothes and hair, for the dressed check")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--checks", default="all", help="of words,retrieval,shape,pose,dressed,opposites,paint,pulled,odd,speed"
    )
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--weights", type=Path, help="instead of those that ship")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the figures of the paint tests")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    studio, guidance = loaded(arguments.weights)
    seed = arguments.seed
    painting = (arguments.weights, arguments.requests, arguments.steps, seed, arguments.out)
    checks = {
        "speed": lambda: speed(guidance),
        "retrieval": lambda: retrieval_and_binding(studio, guidance, 100, seed),
        "shape": lambda: shape_pairs(studio, guidance, seed),
        "pose": lambda: poses(studio, guidance, arguments.motions, seed) if arguments.motions else {},
        "dressed": lambda: (
            dressed(arguments.motions, arguments.garments, arguments.weights, seed) if arguments.motions else {}
        ),
        "opposites": lambda: opposites(studio, guidance, arguments.motions, seed) if arguments.motions else {},
        "paint": lambda: paint(studio, *painting, False, arguments.workers),
        "pulled": lambda: paint(studio, *painting, True, arguments.workers),
        "odd": lambda: odd_words(studio, guidance, arguments.steps, seed, arguments.out),
        "words": lambda: unknown_words(guidance),
    }
    asked = list(checks) if arguments.checks == "all" else arguments.checks.replace(",", " ").split()
    figures: dict[str, float] = {}
    for name in asked:
        found = checks[name]()
        figures |= found
        for key, value in found.items():
            print(f"{key:80} {value:.3f}", flush=True)
    save(arguments.out / "guidance_embedded.json", {"model": guidance.version, "figures": figures}, arguments)


if __name__ == "__main__":
    main()
