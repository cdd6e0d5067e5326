"""Is posing a batch of open bodies at least as fast as `smplx` on the same file, and no larger in memory?

Usage: python benchmarks/body.py [--batch 64] [--threads 2] [--repeats 9] [--json out.json]

The open body is written as an SMPL file into a folder that is removed again; ours and `smplx` (the extra [smpl])
read it, and pose the same 10 betas and 24 rotations a body, forward, and backward to betas and rotations. Both turn
axis-angles into matrices. Times are medians over turns that alternate between the contestants, so that other load on
the machine meets all alike. Memory is the growth of the largest resident size, each in a process of its own (Linux
only: from /proc, because `ru_maxrss` of a new process starts at its parent's size).
"""

import argparse
import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
import smplx
import torch
from record import save, told
from smplx.utils import Struct

from avatargen.body.load import load_body_model
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.core.settings import BodySettings

BETAS = 10
CONTESTANTS = ("smplx", "ours, same file", "ours, open body")


def write_file(folder: Path) -> None:
    """The open body under SMPL's name, whole, so that its reader multiplies all correctives, zeros too."""
    (folder / "smpl").mkdir()
    data = files("avatargen.body").joinpath("data/open_body.npz").read_bytes()
    (folder / "smpl" / "SMPL_NEUTRAL.npz").write_bytes(data)


def poser(name: str, folder: Path, batch: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Function of betas [b, 10] and axis-angles [b, 24, 3] that gives vertices [b, v, 3]."""
    if name == "smplx":
        with np.load(folder / "smpl" / "SMPL_NEUTRAL.npz") as archive:
            struct = Struct(**{key: archive[key].astype(np.float32) for key in _NUMBERS} | _faces(archive))
        model = smplx.SMPL(str(folder), data_struct=struct, num_betas=BETAS, batch_size=batch)
        for parameter in model.parameters():
            parameter.requires_grad_(False)

        def theirs(betas: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
            return model(betas=betas, global_orient=turns[:, 0], body_pose=turns[:, 1:].flatten(1)).vertices

        return theirs
    body = load_open_body() if "open" in name else load_body_model(BodySettings(kind="smpl", folder=str(folder)))
    return lambda betas, turns: pose_body(body, betas, matrix_from_axis_angle(turns)).vertices


_NUMBERS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")


def _faces(archive: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    return {"f": archive["f"], "kintree_table": archive["kintree_table"]}


def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    betas = torch.randn(batch, BETAS, generator=draw)
    return betas.requires_grad_(), (0.4 * torch.randn(batch, 24, 3, generator=draw)).requires_grad_()


def forward(pose: Callable, betas: torch.Tensor, turns: torch.Tensor) -> None:
    with torch.no_grad():
        pose(betas, turns)


def both_ways(pose: Callable, betas: torch.Tensor, turns: torch.Tensor) -> None:
    torch.autograd.grad(pose(betas, turns).square().sum(), (betas, turns))


WORK = {"forward": forward, "forward and backward": both_ways}


def growth_mb(name: str, what: str, folder: Path, batch: int, threads: int, answer) -> None:
    """Put into `answer` how far the largest resident size grows while posing, in MB, after a warm-up on one body."""
    torch.set_num_threads(threads)
    pose = poser(name, folder, 1)
    WORK[what](pose, *inputs(1))
    pose, given = poser(name, folder, batch), inputs(batch)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # sets the largest size back to the present one
    before = largest_mb()
    for _ in range(3):
        WORK[what](pose, *given)
    answer.put(largest_mb() - before)


def largest_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def memory(what: str, folder: Path, batch: int, threads: int) -> dict[str, float]:
    context, found = multiprocessing.get_context("spawn"), {}
    for name in CONTESTANTS:
        answer = context.Queue()
        process = context.Process(target=growth_mb, args=(name, what, folder, batch, threads, answer))
        process.start()
        found[name] = answer.get()
        process.join()
    return found


def times(what: str, folder: Path, batch: int, repeats: int) -> dict[str, float]:
    posers, given = {name: poser(name, folder, batch) for name in CONTESTANTS}, inputs(batch)
    spent: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for turn in range(repeats + 1):
        for name, pose in posers.items():
            start = time.perf_counter()
            WORK[what](pose, *given)
            if turn:  # the first one warms up
                spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_file(folder)
        far = [poser(one, folder, args.batch)(*inputs(args.batch)).detach() for one in CONTESTANTS]
        apart = [float((one - far[0]).abs().max()) for one in far]
        del far
        seconds = {what: times(what, folder, args.batch, args.repeats) for what in WORK}
        grown = {what: memory(what, folder, args.batch, args.threads) for what in WORK}
    print(f"{args.batch} bodies, smplx {version('smplx')}, {told()}")
    print(f"{'':22}{'':18}{'time':>10}{'ratio':>8}{'memory':>11}{'ratio':>8}{'apart':>11}")
    for what in WORK:
        for one, gap in zip(CONTESTANTS, apart, strict=True):
            time_ratio, memory_ratio = (table[what][one] / table[what]["smplx"] for table in (seconds, grown))
            print(
                f"{what:22}{one:18}{1000 * seconds[what][one]:7.0f} ms{time_ratio:8.2f}"
                f"{grown[what][one]:8.0f} MB{memory_ratio:8.2f}{gap:9.1e} m"
            )
    figures = {
        "baseline": f"smplx {version('smplx')}",
        "seconds": seconds,
        "memory_mb": grown,
        "largest_distance_to_smplx_m": dict(zip(CONTESTANTS, apart, strict=True)),
    }
    save(args.json, figures, args)


if __name__ == "__main__":
    main()
