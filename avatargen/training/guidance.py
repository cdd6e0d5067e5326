"""Trains the embedded guidance: `python -m avatargen.training.guidance --motions SET.npz --out FOLDER`.

The image tower learns parts, traits and joints from painted renders; the pose words are learned from the motion set's
frames alone (`avatargen.training.pose_words`), because the tower reads joints off a picture; words outside the lexicon
from a dictionary and a sentence-embedding model (`avatargen.training.open_words`). Everything resumes. The
defaults take at most an hour on two cores, the renders included; what ships was trained longer. `--start` goes on from
weights that are there, at a lower `--rate`, say 1e-3.
"""

import argparse
from pathlib import Path

import torch

from avatargen.core.files import save_tensors
from avatargen.core.progress import Reporter, Silent, Terminal
from avatargen.guidance.embedded.image_tower import ImageTower, JointReader
from avatargen.guidance.embedded.open_words import PREFIX
from avatargen.guidance.embedded.text_tower import ActionWords, PoseVector
from avatargen.training.joint_reader import beginner, read_joints, train_joint_reader
from avatargen.training.motions import clips_of, read_motions
from avatargen.training.open_words import WordPlan, load_open_words, make_lessons, save_open_words, train_open_words
from avatargen.training.plan import Plan, Sources, pose_rows, rows_to_read, source_of
from avatargen.training.pose_words import train_pose_words
from avatargen.training.ship import (
    add_network,
    add_tensors,
    load_joint_reader,
    load_pose_words,
    network_state,
    save_pose_words,
    ship,
)
from avatargen.training.tower import train_tower
from avatargen.training.usual import usual_picture


def train_guidance(
    plan: Plan, sources: Sources, out: Path, *, resume: bool = True, reporter: Reporter | None = None
) -> Path:
    """Train everything, and write `out/embedded.safetensors`, which is what ships. Returns its path."""
    reporter = reporter or Silent()
    tower = train_tower(plan, sources, out, resume=resume, reporter=reporter)
    second = out / "joint_reader.safetensors"
    if not (resume and second.exists()):
        source = source_of(plan, sources, out, "joints")
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
    source = source_of(plan, sources, out, "usual")
    rows = pose_rows(source, len(clips_of(read_motions(sources.motions), "train")), plan)
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
    source = source_of(plan, sources, out, "read")
    rows, clip = rows_to_read(source, len(clips), plan)
    read = read_joints(tower, reader, source, rows)
    return train_pose_words(data, clips, plan.seed, plan.word_steps, reporter=reporter, read=(read, clip))


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
    parser.add_argument("--word-steps", type=int, default=Plan.word_steps, help="of the words of actions")
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
        word_steps=arguments.word_steps,
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
