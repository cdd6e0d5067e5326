"""Teaches words outside the lexicon, by a dictionary and a sentence-embedding model.

    python -m avatargen.training.open_words --teacher MODEL --dictionary WORDNET --out FOLDER

The student (`avatargen.guidance.embedded.open_words`) learns from a dictionary's words what each is like among the
lexicon's entries, or that it is like none (`avatargen.training.word_meanings`), and to put words where the teacher puts
their definitions. Whole words are hidden now and then, so that parts of words count, too. Teacher and dictionary are
needed here alone. The teacher's vectors are kept beside the result; the rest takes a few minutes on one core.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.files import digest_bytes, load_tensors, save_tensors
from avatargen.core.progress import Reporter, Silent, Terminal, stage
from avatargen.core.rng import numpy_stream, stream
from avatargen.guidance.embedded.open_words import (
    PREFIX,
    ROLES,
    SPACE,
    Lookup,
    OpenWords,
    all_entries,
    encode_words,
    meaning,
)
from avatargen.training.dictionary import Key, read_dictionary
from avatargen.training.ship import add_network
from avatargen.training.teacher import Teacher
from avatargen.training.word_meanings import Example, Meanings, Taught, as_rows, entry_text, examples

_WHOLE = 5
"""So many pieces at the beginning of a row name the whole word (see `open_words.pieces`)."""


@dataclass(frozen=True, kw_only=True)
class WordPlan:
    """How long, and what is kept out."""

    seed: int = 0
    steps: int = 2200
    batch: int = 1024
    rate: float = 6e-3
    hidden: float = 0.3
    """Share of words whose whole is hidden, their parts alone being shown."""
    space: float = 1.0
    """Weight of the teacher's space beside the meanings."""
    hold_out: float = 0.0
    """Share of the dictionary's garments kept out of training, to be asked for afterwards."""


@dataclass(frozen=True)
class Lessons:
    """All words, as the network reads them, and what they mean."""

    made: Sequence[Example]
    numbers: Tensor
    """Pieces [n, p]."""
    answers: Float[Tensor, "n choices"]
    """In half precision: there are a hundred thousand words and a thousand entries."""
    seen: Float[Tensor, "n space"]
    """The teacher's vector of each word's usual sense; zero where it read none."""
    entries: Tensor
    """Pieces of the entries [entries, p]."""
    same: Tensor
    """Number of each entry's meaning [entries], and, last, of nothing."""


def make_lessons(teacher: Path, dictionary: Path, kept: Path, reporter: Reporter | None = None) -> Lessons:
    """Read the dictionary and ask the teacher; its answers are kept in `kept`.

    Raises:
        MissingAssetError: there is no teacher or no dictionary.
        BrokenFileError: one of them is damaged.
    """
    meanings = Meanings(read_dictionary(dictionary))
    names = list(meanings.kinds)
    keys = meanings.wanted()
    texts = [meanings.text(key) for key in keys] + [entry_text(meanings, name) for name in names]
    vectors = _taught(texts, teacher, kept, reporter)
    made = examples(Taught(meanings, keys, vectors[: len(keys)], vectors[len(keys) :]))
    made += [
        Example(name, role, {name: 1.0}, meanings.home.get(name))
        for name, kind in meanings.kinds.items()
        for role, kinds in ROLES.items()
        if kind in kinds and not (role == "noun" and kind == "trait" and meanings.home.get(name, ("a",))[0] == "a")
    ]
    # The axes along which the entries differ are those that matter.
    center = vectors[len(keys) :].mean(0)
    axes = torch.linalg.svd(vectors[len(keys) :] - center, full_matrices=False)[2][:SPACE]
    small = torch.nn.functional.normalize((vectors - center) @ axes.T, dim=1)
    row: dict[Key, int] = {key: i for i, key in enumerate(keys)}
    seen = torch.zeros(len(made), SPACE)
    for i, example in enumerate(made):
        if example.sense in row:
            seen[i] = small[row[example.sense]]
    number: dict[tuple[str, str], int] = {}
    same = [number.setdefault(meaning(name, kind), len(number)) for name, kind in meanings.kinds.items()]
    return Lessons(
        made=made,
        numbers=encode_words([e.word for e in made], [e.role for e in made]).to(torch.int32),
        answers=as_rows(made, names).to(torch.float16),
        seen=seen,
        entries=encode_words(names, list(meanings.kinds.values())),
        same=torch.tensor([*same, len(number)]),
    )


def _taught(texts: list[str], teacher: Path, kept: Path, reporter: Reporter | None) -> Float[Tensor, "n 384"]:
    """The teacher's vectors, from `kept` if it holds those of the same texts."""
    asked = digest_bytes("\n".join(texts).encode())
    if kept.exists():
        tensors, notes = load_tensors(kept)
        if notes.get("texts") == asked:
            return tensors["vectors"].float()
    vectors = Teacher(teacher).encode(texts, reporter=reporter)
    save_tensors(kept, {"vectors": vectors.half()}, {"texts": asked})
    return vectors.half().float()


def train_open_words(lessons: Lessons, plan: WordPlan, reporter: Reporter | None = None) -> OpenWords:
    """The trained network. Deterministic in `plan.seed` on one thread."""
    reporter = reporter or Silent()
    network = OpenWords()
    _start(network, plan.seed)
    generator = numpy_stream(plan.seed, "open-words")
    out = held_out(lessons, plan)
    means = 1.0 - lessons.answers[:, -1].float().numpy()
    means[out] = 0.0
    some = np.flatnonzero(means > 0.15)
    rest = np.setdiff1d(np.flatnonzero(means <= 0.15), out)
    optimizer = torch.optim.Adam(network.parameters(), lr=plan.rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.rate, total_steps=plan.steps + 1, pct_start=0.1)
    with stage(reporter, "open words", plan.steps):
        for _ in range(plan.steps):
            rows = np.concatenate(
                [generator.choice(some, plan.batch // 2), generator.choice(rest, plan.batch - plan.batch // 2)]
            )
            hide = torch.from_numpy(generator.random(len(rows)) < plan.hidden)
            loss, space = _losses(network, lessons, torch.from_numpy(rows), hide)
            optimizer.zero_grad()
            (loss + plan.space * space).backward()
            optimizer.step()
            schedule.step()
            reporter.step(1, meaning=float(loss.detach()), space=float(space.detach()))
    return network.eval()


def held_out(lessons: Lessons, plan: WordPlan) -> np.ndarray:
    """Rows of the words that `plan` keeps out: garments by the dictionary that are no entries themselves."""
    known = set(all_entries())
    worn = {e.word for e in lessons.made if e.worn and e.word not in known and e.word + "s" not in known}
    draw = numpy_stream(plan.seed, "open-words/held-out")
    kept = {word for word in sorted(worn) if draw.random() < plan.hold_out}
    return np.array([i for i, e in enumerate(lessons.made) if e.word in kept], dtype=np.int64)


def ask_held_out(network: OpenWords, lessons: Lessons, plan: WordPlan) -> dict[str, float]:
    """Of the garments kept out: the share read as a garment, as the right one, and how many there are."""
    rows = [i for i in held_out(lessons, plan).tolist() if lessons.made[i].worn and lessons.made[i].role == "noun"]
    lookup, kinds = Lookup(network), all_entries()
    garment = right = total = 0
    for example in (lessons.made[i] for i in rows):
        if not example.meaning or kinds[best := max(example.meaning, key=example.meaning.__getitem__)] != "garment":
            continue
        found = lookup(example.word, "noun")
        total += 1
        garment += found is not None and found[0] == "garment"
        right += found is not None and meaning(found[1], found[0]) == meaning(best, "garment")
    return {"a garment": garment / max(total, 1), "the right one": right / max(total, 1), "words": float(total)}


def _losses(network: OpenWords, lessons: Lessons, rows: Tensor, hide: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the meanings, and one minus the cosine to the teacher."""
    numbers = lessons.numbers[rows].long()
    numbers[:, :_WHOLE] *= ~hide[:, None]
    known = network(lessons.entries)[0]
    vectors, nothing = network(numbers)
    chances = torch.cat([network.sharpness * (vectors @ known.T), nothing], dim=1).softmax(1)
    count = int(lessons.same[-1]) + 1
    # Entries of one meaning share their chance: which of them is nearest does not matter.
    found = torch.zeros(len(rows), count).index_add(1, lessons.same, chances)
    wanted = torch.zeros(len(rows), count).index_add(1, lessons.same, lessons.answers[rows].float())
    loss = -(wanted * found.clamp_min(1e-7).log()).sum(1).mean()
    taught = lessons.seen[rows]
    has = (taught.square().sum(1) > 0).float()
    space = ((1.0 - (vectors * taught).sum(1)) * has).sum() / has.sum().clamp_min(1.0)
    return loss, space


def _start(network: OpenWords, seed: int) -> None:
    """Weights from a named stream, so that training depends on no global seed."""
    generator = stream(seed, "open-words/start")
    for parameter in network.parameters():
        if parameter.ndim >= 2:
            parameter.data.normal_(0, parameter.shape[-1] ** -0.5, generator=generator)


def save_open_words(path: Path, network: OpenWords) -> Path:
    """Keep the network alone, in full precision."""
    return save_tensors(path, {PREFIX + k: v for k, v in network.state_dict().items()})


def load_open_words(path: Path) -> OpenWords:
    """The network that `save_open_words` wrote."""
    network = OpenWords()
    network.load_state_dict({k.removeprefix(PREFIX): v for k, v in load_tensors(path)[0].items()})
    return network.eval()


def main(argv: list[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m avatargen.training.open_words", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the sentence-embedding model")
    parser.add_argument("--dictionary", type=Path, required=True, help="folder of WordNet's database files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the teacher's vectors and the network")
    parser.add_argument("--into", type=Path, help="also a file of weights of the embedded guidance to put it into")
    parser.add_argument("--steps", type=int, default=WordPlan.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hold-out", type=float, default=0.0, help="share of garments kept out, to ask for afterwards")
    asked = parser.parse_args(argv)
    torch.set_num_threads(1)
    told = Terminal()
    plan = WordPlan(seed=asked.seed, steps=asked.steps, hold_out=asked.hold_out)
    lessons = make_lessons(asked.teacher, asked.dictionary, asked.out / "teacher.safetensors", told)
    network = train_open_words(lessons, plan, told)
    told.note(f"wrote {save_open_words(asked.out / 'open_words.safetensors', network)}")
    if asked.hold_out:
        told.note(f"garments kept out: {ask_held_out(network, lessons, plan)}")
    if asked.into:
        told.note(f"wrote {add_network(asked.into, PREFIX, network)}")


if __name__ == "__main__":
    main()
