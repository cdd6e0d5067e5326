"""Trains the image tower: parts, traits and joints from painted renders; in several processes, and resumable."""

import json
import queue
import threading
import time
from collections.abc import Generator, Sequence
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.distributed as distributed
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from avatargen.core.errors import MissingExtraError
from avatargen.core.files import load_tensors, save_tensors, write_whole
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.guidance.embedded.image_tower import ImageTower, channels_last
from avatargen.guidance.embedded.slots import BACKGROUND, SLOT_ID
from avatargen.training.held_out import Row, held_out, judge, plot_curve
from avatargen.training.pictures import Batch, Source
from avatargen.training.plan import Plan, Sources, source_of
from avatargen.training.ship import network_state

_RARE = ("eyes", "lips", "beard", "belt", "belly", "shirt_front", "neck", "back", "pelvis", "ankles", "hands")


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


def train_tower(
    plan: Plan, sources: Sources, out: Path, *, resume: bool = True, reporter: Reporter | None = None
) -> ImageTower:
    """The averaged image tower after `plan.minutes` of training in all; checkpoints in `out/tower.safetensors`.

    Its errors on pictures that it does not learn from are judged at every checkpoint, and drawn: `out/curve.json` and
    `out/curve.png`.
    """
    # Renders what is not there yet, before there are several to do it.
    source_of(plan, sources, out, "none")
    pictures = held_out(sources.motions, out, plan.seed + 4, plan.held_out, plan.workers)
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
    source = source_of(plan, sources, out, f"{rank}/{step}")
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
