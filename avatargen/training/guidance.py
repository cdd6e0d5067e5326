"""Trains the embedded guidance: `python -m avatargen.training.guidance --motions SET.npz --out FOLDER`.

The image tower learns parts, traits and joints from painted renders; the pose words are learned from the motion set's
frames alone (`avatargen.training.pose_words`), because the tower reads joints off a picture; words outside the lexicon
from a dictionary and a sentence-embedding model (`avatargen.training.open_words`). Everything resumes. The
defaults take at most an hour on two cores, the renders included; what ships was trained longer. `--start` goes on from
weights that are there, at a lower `--rate`, say 1e-3.
"""

import argparse
import json
import queue
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.distributed as distributed
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from avatargen.core.errors import MissingExtraError
from avatargen.core.files import load_tensors, save_tensors, write_whole
from avatargen.core.progress import Reporter, Silent, Terminal, stage
from avatargen.core.rng import numpy_stream, stream
from avatargen.guidance.embedded.image_tower import ImageTower, JointReader, channels_last
from avatargen.guidance.embedded.open_words import PREFIX
from avatargen.guidance.embedded.slots import BACKGROUND, SLOT_ID
from avatargen.guidance.embedded.text_tower import ActionWords, PoseVector
from avatargen.training.gbuffers import Buffers, join, make_buffers, make_pose_buffers
from avatargen.training.held_out import Row, held_out, judge, plot_curve
from avatargen.training.joint_reader import beginner, read_joints, train_joint_reader
from avatargen.training.motions import clips_of, even_frames, read_motions
from avatargen.training.open_words import WordPlan, load_open_words, make_lessons, save_open_words, train_open_words
from avatargen.training.pictures import Batch, Source
from avatargen.training.pose_words import train_pose_words
from avatargen.training.queries import make_queries
from avatargen.training.ship import (
    add_network,
    add_tensors,
    load_joint_reader,
    load_pose_words,
    network_state,
    save_pose_words,
    ship,
)
from avatargen.training.usual import usual_picture
from avatargen.training.wardrobe import Wardrobe, fill_wardrobe

_RARE = ("eyes", "lips", "beard", "belt", "belly", "shirt_front", "neck", "back", "pelvis", "ankles", "hands")
_BODIES_SHARE = 0.45
"""Of the pictures in a batch: bodies of known build in views of all kinds; the rest are poses."""
_VIEWS = 2
"""Sides from which a pose is rendered, as `make_pose_buffers` has it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how large."""

    minutes: float = 26.0
    """Of the image tower; rendering, joints and words come on top, about as much again."""
    seed: int = 0
    bodies: int = 1400
    frames_per_clip: int = 8
    """Poses of each clip that are rendered besides, in whole-body views."""
    dressed: int = 1000
    """Bodies with clothes and hair as geometry, in as many views as the bare ones."""
    dressed_frames_per_clip: int = 16
    """Further poses of each clip, every second body dressed."""
    query_bodies: int = 320
    held_out: int = 40
    """Bodies that nothing is learned from, for the validation curve."""
    painted: int = 16
    queries: int = 4
    workers: int = 2
    """Processes, each with its own batches; their gradients are averaged at every step."""
    rate: float = 2.5e-3
    averaging: float = 0.997
    """Decay of the moving average of the weights, which is what ships."""
    joint_steps: int = 1500
    """Of the second look at joints, after the tower."""
    word_steps: int = 6000
    save_seconds: float = 90.0


def slot_weights() -> Float[Tensor, " slots"]:
    """Weights of the slots in the loss: small regions count more, the backdrop less."""
    weights = torch.ones(BACKGROUND + 1)
    weights[BACKGROUND] = 0.6
    for name in _RARE:
        weights[SLOT_ID[name]] = 2.5
    return weights


def tower_loss(tower: ImageTower, batch: Batch, weights: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Weighted sum of the three losses, and each of them."""
    logits, traits, joints = tower(batch.images.contiguous(memory_format=torch.channels_last))
    painted = len(batch.slot)
    parts = cross_entropy(logits[:painted], batch.slot, weight=weights)
    trait = (smooth_l1_loss(traits, batch.traits, reduction="none").mean(1) * batch.traits_known).mean()
    pose = smooth_l1_loss(joints[:painted], batch.joints, reduction="none", beta=0.1).mean((1, 2))
    pose = (pose * batch.joints_known).sum() / batch.joints_known.sum().clamp_min(1)
    return parts + trait + 10.0 * pose, {
        "parts": float(parts.detach()),
        "traits": float(trait.detach()),
        "joints": float(pose.detach()),
    }


def prefetch(source: Source, painted: int, queries: int, depth: int = 3) -> Generator[Batch]:
    """Batches drawn in a thread of their own; one thread, so their order is fixed."""
    ready: queue.Queue[Batch] = queue.Queue(depth)
    stop = threading.Event()

    def fill() -> None:
        while not stop.is_set():
            batch = source.draw(painted, queries)
            while not stop.is_set():
                try:
                    ready.put(batch, timeout=0.2)
                    break
                except queue.Full:
                    continue

    worker = threading.Thread(target=fill, daemon=True)
    worker.start()
    try:
        while True:
            yield ready.get()
    finally:
        stop.set()
        worker.join()


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What is learned from."""

    motions: Path
    """The motion set that motiongen's importer writes."""
    teacher: Path | None = None
    """Folder of the sentence-embedding model."""
    dictionary: Path | None = None
    """Folder of WordNet's database files."""
    garments: Path | None = None
    """Folder of MakeHuman's clothes and hair, worn besides our own pieces."""
    start: Path | None = None
    """Weights to go on from: those that ship, or others of this command."""


def train_guidance(
    plan: Plan, sources: Sources, out: Path, *, resume: bool = True, reporter: Reporter | None = None
) -> Path:
    """Train everything, and write `out/embedded.safetensors`, which is what ships. Returns its path."""
    reporter = reporter or Silent()
    tower = train_tower(plan, sources, out, resume=resume, reporter=reporter)
    second = out / "joint_reader.safetensors"
    if not (resume and second.exists()):
        source = _source(plan, sources, out, "joints")
        reader = beginner()
        if sources.start:
            reader.load_state_dict(network_state(sources.start, "reader"))
        reader = train_joint_reader(tower, source, plan.joint_steps, reporter=reporter, start=reader)
        save_tensors(second, reader.state_dict())
    kept = out / "pose_words.safetensors"
    if not (resume and kept.exists()):
        save_pose_words(kept, *_pose_words(plan, sources, out, tower, load_joint_reader(second), reporter))
    path = ship(
        out / "embedded.safetensors",
        tower,
        load_joint_reader(second),
        *load_pose_words(kept),
        {"trained minutes": f"{plan.minutes:g}"},
    )
    _open_words(plan, sources, out, path, resume, reporter)
    source = _source(plan, sources, out, "usual")
    rows = _pose_rows(source, len(clips_of(read_motions(sources.motions), "train")), plan)
    add_tensors(path, usual_picture(path, source, rows))
    reporter.note(f"wrote {path}")
    return path


def _open_words(plan: Plan, sources: Sources, out: Path, path: Path, resume: bool, reporter: Reporter) -> None:
    """Add the network for words outside the lexicon to the weights at `path`, if there is something to learn from."""
    kept = out / "open_words.safetensors"
    if not (resume and kept.exists()):
        if sources.teacher is None or sources.dictionary is None:
            before = network_state(sources.start, PREFIX.rstrip("/")) if sources.start else {}
            if before:
                add_tensors(path, {PREFIX + name: tensor for name, tensor in before.items()})
            else:
                reporter.note("no --teacher and --dictionary: words outside the lexicon will be ignored")
            return
        lessons = make_lessons(sources.teacher, sources.dictionary, out / "teacher.safetensors", reporter)
        save_open_words(kept, train_open_words(lessons, WordPlan(seed=plan.seed), reporter))
    add_network(path, PREFIX, load_open_words(kept))


def _pose_words(
    plan: Plan, sources: Sources, out: Path, tower: ImageTower, reader: JointReader, reporter: Reporter
) -> tuple[ActionWords, PoseVector]:
    data = read_motions(sources.motions)
    clips = clips_of(data, "train")
    source = _source(plan, sources, out, "read")
    # The further poses come before the others, in the same order of clips; one side of each is enough.
    bare, more = _pose_rows(source, len(clips), plan), len(clips) * plan.dressed_frames_per_clip
    rows = bare[0] + _VIEWS * (np.arange(more) - more) + np.arange(more) % _VIEWS
    sides = (plan.dressed_frames_per_clip, _VIEWS * plan.frames_per_clip)
    clip = np.concatenate([np.repeat(np.arange(len(clips)), n) for n in sides])
    by_clip = np.argsort(clip, kind="stable")
    read, clip = read_joints(tower, reader, source, np.concatenate([rows, bare])[by_clip]), clip[by_clip]
    return train_pose_words(data, clips, plan.seed, plan.word_steps, reporter=reporter, read=(read, clip))


def _pose_rows(source: Source, clips: int, plan: Plan) -> Integer[np.ndarray, " n"]:
    """Buffers of the poses: they come last, clip by clip."""
    count = clips * plan.frames_per_clip * _VIEWS
    return np.arange(count) + source.count - count


def train_tower(
    plan: Plan, sources: Sources, out: Path, *, resume: bool = True, reporter: Reporter | None = None
) -> ImageTower:
    """The averaged image tower after `plan.minutes` of training in all; checkpoints in `out/tower.safetensors`.

    Its errors on pictures that it does not learn from are judged at every checkpoint, and drawn: `out/curve.json` and
    `out/curve.png`.
    """
    # Renders what is not there yet, before there are several to do it.
    _source(plan, sources, out, "none")
    pictures = held_out(sources.motions, out, plan.seed + 4, plan.held_out)
    meeting = out / "meeting"
    meeting.unlink(missing_ok=True)
    others = [
        get_context("spawn").Process(target=_help, args=(plan, sources, out, resume, rank, meeting), daemon=True)
        for rank in range(1, plan.workers)
    ]
    for process in others:
        process.start()
    _meet(plan, meeting, 0)
    tower = _train(plan, sources, out, pictures, resume=resume, reporter=reporter or Silent(), rank=0)
    for process in others:
        process.join()
    return tower


def _help(plan: Plan, sources: Sources, out: Path, resume: bool, rank: int, meeting: Path) -> None:
    torch.set_num_threads(1)
    _meet(plan, meeting, rank)
    _train(plan, sources, out, [], resume=resume, reporter=Silent(), rank=rank)


def _meet(plan: Plan, meeting: Path, rank: int) -> None:
    if plan.workers > 1:
        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=plan.workers)


def _share_gradients(tower: ImageTower, spent: float, workers: int) -> float:
    """Average gradients over the processes; returns the mean of their clocks, so that all stop at the same step."""
    if workers == 1:
        return spent
    grads = [p.grad for p in tower.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in grads] + [torch.tensor([spent])])
    distributed.all_reduce(flat)
    flat /= workers
    at = 0
    for grad in grads:
        grad.copy_(flat[at : at + grad.numel()].view_as(grad))
        at += grad.numel()
    return float(flat[-1])


def _train(
    plan: Plan, sources: Sources, out: Path, pictures: Sequence[Batch], *, resume: bool, reporter: Reporter, rank: int
) -> ImageTower:
    tower = channels_last(ImageTower())
    if sources.start:
        tower.load_state_dict(network_state(sources.start, "tower"))
    average = ImageTower()
    optimizer = torch.optim.AdamW(tower.parameters(), lr=plan.rate, weight_decay=0.02, betas=(0.9, 0.98))
    checkpoint = out / "tower.safetensors"
    step, spent, curve = 0, 0.0, list[Row]()
    if resume and checkpoint.exists():
        step, spent, curve = _restore(checkpoint, tower, average, optimizer)
    else:
        average.load_state_dict(tower.state_dict())
    average.eval()

    def keep() -> None:
        """Judge the average, and write everything that a resumed training needs."""
        if not curve or curve[-1]["step"] != step:
            curve.append({"step": float(step), "seconds": round(spent, 1), **judge(average, pictures)})
        _save(checkpoint, tower, average, optimizer, step, spent, curve)
        _draw(curve, out, reporter)
        reporter.note("  ".join(f"{key} {value:.4g}" for key, value in curve[-1].items()))

    if rank == 0:
        keep()
    # Named by the step, so that a resumed training does not see its first batches again.
    source = _source(plan, sources, out, f"{rank}/{step}")
    weights = slot_weights()
    last = saved = time.perf_counter()
    batches = prefetch(source, plan.painted, plan.queries)
    with stage(reporter, "guidance", round(plan.minutes * 60)):
        reporter.step(round(spent))
        while spent < plan.minutes * 60:
            share = spent / (plan.minutes * 60)
            rate = plan.rate * min(1.0, (step + 1) / 100) * max(0.02, 1.0 - share)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss, values = tower_loss(tower, next(batches), weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            common = _share_gradients(tower, spent, plan.workers)
            torch.nn.utils.clip_grad_norm_(tower.parameters(), 2.0)
            optimizer.step()
            step += 1
            _average(average, tower, min(plan.averaging, step / (step + 20)))
            now = time.perf_counter()
            before, spent, last = spent, common + now - last, now
            reporter.step(round(spent) - round(before), **values)
            if rank == 0 and now - saved > plan.save_seconds:
                saved = now
                keep()
    batches.close()
    if rank == 0:
        keep()
    return average


def _draw(curve: list[Row], out: Path, reporter: Reporter) -> None:
    write_whole(out / "curve.json", (json.dumps(curve, indent=1) + "\n").encode())
    try:
        plot_curve(curve, out / "curve.png")
    except MissingExtraError as error:
        reporter.note(str(error))  # hours of training must not end for want of a picture


def _source(plan: Plan, sources: Sources, out: Path, name: str) -> Source:
    data = read_motions(sources.motions)
    clips = clips_of(data, "train")

    @lru_cache(maxsize=1)
    def wardrobe() -> Wardrobe:
        return fill_wardrobe(sources.garments).apart()[0]

    def poses(per_clip: int, stream_name: str) -> Float[np.ndarray, "f 24 3"]:
        return even_frames(data, clips, per_clip, numpy_stream(plan.seed, stream_name))

    seed, frames = plan.seed, poses(8, "frames")
    bodies = [make_buffers(out / "train.npz", seed + 1, plan.bodies, frames)]
    posed = [make_pose_buffers(out / "poses.npz", seed + 3, poses(plan.frames_per_clip, "poses"))]
    if plan.dressed:
        bodies.append(make_buffers(out / "dressed.npz", seed + 6, plan.dressed, frames, wardrobe=wardrobe))
    if plan.dressed_frames_per_clip:
        more = poses(plan.dressed_frames_per_clip, "dressed poses")
        posed.insert(0, make_pose_buffers(out / "dressed_poses.npz", seed + 7, more, wardrobe=wardrobe))
    images, traits = make_queries(out / "query_train.npz", seed + 2, plan.query_bodies)
    generator = stream(seed, f"guidance/batches/{name}")
    return Source(join(*bodies, *posed), images, traits, generator, _shares(bodies, posed))


def _shares(bodies: Sequence[Buffers], posed: Sequence[Buffers]) -> Float[Tensor, " n"]:
    """Chance of each record: however many poses there are, bodies and what is seen close up stay a part of it."""
    parts = []
    for buffers, share in ((bodies, _BODIES_SHARE), (posed, 1.0 - _BODIES_SHARE)):
        count = sum(len(b.face) for b in buffers)
        parts.append(torch.full((count,), share / max(count, 1)))
    return torch.cat(parts)


@torch.no_grad()
def _average(average: ImageTower, tower: ImageTower, decay: float) -> None:
    for a, b in zip(average.state_dict().values(), tower.state_dict().values(), strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1.0 - decay)
        else:
            a.copy_(b)


def _save(
    path: Path,
    tower: ImageTower,
    average: ImageTower,
    optimizer: torch.optim.Optimizer,
    step: int,
    spent: float,
    curve: list[Row],
) -> None:
    tensors = {f"tower/{k}": v for k, v in tower.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in state.items()}
    save_tensors(path, tensors, {"step": str(step), "spent": f"{spent:.1f}", "curve": json.dumps(curve)})


def _restore(
    path: Path, tower: ImageTower, average: ImageTower, optimizer: torch.optim.Optimizer
) -> tuple[int, float, list[Row]]:
    tensors, notes = load_tensors(path)

    def under(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    tower.load_state_dict(under("tower/"))
    average.load_state_dict(under("average/"))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in under("optimizer/").items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(notes["step"]), float(notes["spent"]), json.loads(notes.get("curve", "[]"))


def main(argv: list[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m avatargen.training.guidance", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--motions", type=Path, required=True, help="the motion set (npz) that motiongen's importer writes"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for buffers, checkpoints and the weights")
    parser.add_argument("--teacher", type=Path, help="folder of a sentence-embedding model (training.teacher)")
    parser.add_argument("--dictionary", type=Path, help="folder of WordNet's files (training.dictionary)")
    parser.add_argument(
        "--garments", type=Path, help="folder of MakeHuman's clothes and hair (.mhclo), worn besides ours"
    )
    parser.add_argument("--start", type=Path, help="weights to go on from, such as those that ship (see --rate)")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="of learning, at the start; falls to its end")
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="of the image tower, over every resume")
    parser.add_argument("--joint-steps", type=int, default=Plan.joint_steps, help="of the second look at joints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes that share each step")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)  # of each process: two processes with a thread each beat one with two
    plan = Plan(
        minutes=arguments.minutes,
        seed=arguments.seed,
        workers=arguments.workers,
        joint_steps=arguments.joint_steps,
        rate=arguments.rate,
    )
    sources = Sources(
        motions=arguments.motions,
        teacher=arguments.teacher,
        dictionary=arguments.dictionary,
        garments=arguments.garments,
        start=arguments.start,
    )
    train_guidance(plan, sources, arguments.out, resume=arguments.resume, reporter=Terminal())


if __name__ == "__main__":
    main()
