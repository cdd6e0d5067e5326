"""Are words outside the lexicon read as what they are like, and are all others left alone?

`python benchmarks/open_words.py [--weights FILE] [--split test] [--all]`

Reads rows `word,kind,wanted,split` of `open_words.csv`, written by hand; training never sees what is wanted of them.
Each word is put into a sentence and read. The thresholds were chosen on the split "choose"; "test" is for the report.
A color is right if it is nearest to the wanted one of 11, a garment if it covers at least half of what the wanted one
does or the other way round, a trade or being if it is dressed as wanted, a build if its signs agree, an action if it is
said by a wanted verb. Wanted alternatives are separated by "|".
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from record import save

from avatargen.guidance.embedded.colors import lab_from_srgb
from avatargen.guidance.embedded.model import load_embedded
from avatargen.guidance.embedded.open_words import Lookup
from avatargen.guidance.embedded.reader import Reading, read
from avatargen.guidance.embedded.tokens import Unknown, stem

WORDS = Path(__file__).with_name("open_words.csv")
BASIC = {
    "red": (204, 20, 20), "orange": (240, 120, 16), "yellow": (245, 215, 20), "green": (20, 140, 45),
    "blue": (25, 70, 205), "purple": (115, 25, 160), "pink": (240, 115, 170), "brown": (110, 65, 32),
    "black": (16, 16, 18), "white": (245, 245, 245), "grey": (128, 128, 128),
}  # fmt: skip
FRAMES = {
    "color": "a person in a {} shirt", "garment": "a person in a red {}", "outfit": "a {}", "being": "a {}",
    "trait": "a {} person", "action": "a person {}",
    "noun": "a person with a {}", "adjective": "a {} person", "verb": "a person {}",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What was made of a word."""

    word: str
    kind: str
    wanted: str
    found: bool
    """Whether anything was read."""
    right: bool


def basic(rgb: tuple[int, int, int]) -> str:
    lab = lab_from_srgb(torch.tensor([rgb, *BASIC.values()]) / 255)
    return list(BASIC)[int((lab[1:] - lab[0]).norm(dim=1).argmin())]


def judge(word: str, kind: str, wanted: str, unknown: Unknown) -> Verdict:
    frame = FRAMES[wanted if kind == "nothing" else kind]
    got, nothing = read(frame.format(word), unknown), read(frame.format("zzz"))
    if kind == "trait" and got == nothing:
        got, nothing = read(f"a {word}", unknown), read("a zzz")
    found = got != nothing
    right = found and kind != "nothing" and any(_fits(got, kind, one) for one in wanted.split("|"))
    return Verdict(word, kind, wanted, found, right)


def _fits(got: Reading, kind: str, wanted: str) -> bool:
    if kind == "color":
        return "chest" in got.colors and basic(got.colors["chest"][0][0][0]) == wanted
    if kind == "garment":
        mine, other = set(got.colors), set(read(f"a person in a red {wanted}").colors)
        return bool(mine) and len(mine & other) >= 0.5 * len(mine | other)
    if kind in ("outfit", "being"):
        other = read(f"a {wanted}")
        return got.colors == other.colors or (not other.colors and bool(other.traits) and got.traits == other.traits)
    if kind == "trait":
        return got.traits.get(wanted[:-1], 0.0) * (1 if wanted[-1] == "+" else -1) > 0
    return stem(got.action_text.split()[-1]) == stem(wanted) if got.action_text else False


def judge_all(unknown: Unknown, split: str = "test") -> list[Verdict]:
    with WORDS.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if split in ("all", row["split"])]
    return [judge(row["word"], row["kind"], row["wanted"], unknown) for row in rows]


def figures(verdicts: list[Verdict]) -> dict[str, float]:
    """Share read right by kind, share of meaningless words left alone, precision of all that was read."""
    groups: Mapping[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.kind].append(verdict)
    out = {
        f"unknown words read right: {kind} ({len(some)})": sum(v.right for v in some) / len(some)
        for kind, some in groups.items()
        if kind != "nothing"
    }
    meant = [v for v in verdicts if v.kind != "nothing"]
    out[f"unknown words read right, all (recall, {len(meant)})"] = sum(v.right for v in meant) / len(meant)
    read_at_all = [v for v in verdicts if v.found]
    out["of the words that were read, right (precision)"] = sum(v.right for v in read_at_all) / max(len(read_at_all), 1)
    quiet = groups["nothing"]
    out[f"words without a visual meaning left alone ({len(quiet)})"] = sum(not v.found for v in quiet) / len(quiet)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, help="instead of those that ship")
    parser.add_argument("--split", default="test", choices=("test", "choose", "all"))
    parser.add_argument("--all", action="store_true", help="print every word that went wrong")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    lookup = load_embedded(weights=asked.weights).unknown
    if not isinstance(lookup, Lookup):
        raise SystemExit("these weights hold no open words")
    verdicts = judge_all(lookup, asked.split)
    for verdict in verdicts if asked.all else []:
        if not verdict.right and (verdict.found or verdict.kind != "nothing"):
            roles = ("noun", "adjective", "verb")
            told = ", ".join(f"{k} {n} {c:.2f}" for k, n, c in (lookup.best(verdict.word, r) for r in roles))
            print(f"{'wrong ' if verdict.found else 'unread'} {verdict.word} ({verdict.kind} {verdict.wanted}): {told}")
    found = figures(verdicts)
    for name, value in found.items():
        print(f"{name:70} {value:.3f}")
    save(asked.json, found, asked)


if __name__ == "__main__":
    main()
