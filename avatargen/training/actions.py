"""Teaches the words of actions anew: `python -m avatargen.training.actions --motions SET.npz --weights FILE`.

For a motion set that has grown, or one of your own. Frames of its clips are rendered and read by the networks in
`--weights`, then the two small networks for words and poses are trained and put in the place of the old ones.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from avatargen.core.progress import Reporter, Silent, Terminal
from avatargen.core.rng import numpy_stream, stream
from avatargen.guidance.embedded.image_tower import ImageTower, JointReader, channels_last
from avatargen.guidance.embedded.slots import TRAITS
from avatargen.training.gbuffers import SIZE, make_pose_buffers
from avatargen.training.joint_reader import read_joints
from avatargen.training.motions import MotionSet, clips_of, even_frames, read_motions
from avatargen.training.pictures import Source
from avatargen.training.pose_words import train_pose_words
from avatargen.training.ship import add_tensors, named_tensors, network_state
from avatargen.training.usual import usual_picture

_VIEWS = 2
"""Sides from which a pose is rendered, as `make_pose_buffers` has it."""


def teach_actions(
    motions: MotionSet,
    weights: Path,
    out: Path,
    *,
    seed: int = 0,
    frames_per_clip: int = 8,
    steps: int = 12000,
    reporter: Reporter | None = None,
) -> Path:
    """Train the networks for words and poses on the clips of the split "train" and write them into `weights`.

    Args:
        motions: the clips and their phrases.
        weights: the embedded guidance; its image tower and joint reader are used, not changed.
        out: folder where the renders are kept.
        seed: of everything random.
        frames_per_clip: how many poses of each clip are rendered, from two sides.
        steps: of 256 pairs.
        reporter: is told how it goes.
    """
    reporter = reporter or Silent()
    clips = clips_of(motions, "train")
    frames = even_frames(motions, clips, frames_per_clip, numpy_stream(seed, "actions"))
    source = _source(frames, out / "actions.npz", seed)
    read = _read(source, weights)
    clip = np.repeat(np.arange(len(clips)), frames_per_clip * _VIEWS)
    words, pose = train_pose_words(motions, clips, seed, steps, reporter=reporter, read=(read, clip))
    # Colors and traits of the usual picture do not depend on these two. All at once: a file is never half taught.
    usual = usual_picture(weights, source, np.arange(source.count))
    return add_tensors(weights, named_tensors(words=words, pose=pose) | usual)


def _source(frames: Float[np.ndarray, "f 24 3"], kept: Path, seed: int) -> Source:
    """Renders of the frames, to be painted at random."""
    buffers = make_pose_buffers(kept, seed + 5, frames)
    if len(buffers.face) != len(frames) * _VIEWS:
        kept.unlink()
        buffers = make_pose_buffers(kept, seed + 5, frames)
    none = np.zeros((0, 1, SIZE, SIZE, 3), dtype=np.uint8)
    return Source(buffers, none, np.zeros((0, len(TRAITS)), dtype=np.float32), stream(seed, "actions/pictures"))


def _read(source: Source, weights: Path) -> Float[Tensor, "n 23 3"]:
    """Joints as the networks in `weights` read them off pictures."""
    networks = ImageTower(), JointReader()
    for name, network in zip(("tower", "reader"), networks, strict=True):
        network.load_state_dict(network_state(weights, name))
        network.eval().requires_grad_(False)
    return read_joints(channels_last(networks[0]), networks[1], source, np.arange(source.count))


def main(arguments: list[str] | None = None) -> int:
    """Teach the shipped guidance, or the one that is named."""
    parser = argparse.ArgumentParser(description="Teaches the guidance the words of actions anew.")
    parser.add_argument("--motions", type=Path, required=True, help="motion set (npz) of motiongen's importer")
    parser.add_argument("--weights", type=Path, required=True, help="the file to change")
    parser.add_argument("--out", type=Path, required=True, help="folder for the renders")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    plan = {"seed": args.seed, "steps": args.steps, "reporter": Terminal()}
    teach_actions(read_motions(args.motions), args.weights, args.out, **plan)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
