"""Reads WordNet 3.0's database files (Debian's `wordnet-base`; free licence): words, senses, what is a kind of what.

The folder holds `data.noun`, `index.noun` and so on, as the manual page `wndb(5WN)` describes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avatargen.core.errors import BrokenFileError, MissingAssetError

_FILES = {"n": "noun", "v": "verb", "a": "adj"}
_UP = {"n": ("@", "@i"), "v": ("@",), "a": ("&",)}
"""Pointers to the more general sense: hypernyms, classes of instances, and the head of a cluster of adjectives."""

Key = tuple[str, int]
"""Part of speech (n, v, a) and place in its file: names a sense."""


@dataclass(frozen=True)
class Sense:
    """One meaning, with all words that have it."""

    words: tuple[str, ...]
    """In lower case, with spaces."""
    topic: int
    """WordNet's file number: 6 is artefacts, 8 body, 18 people, 38 verbs of motion, ... (`lexnames(5WN)`)."""
    up: tuple[Key, ...]
    """More general senses."""
    gloss: str
    """Definition, without the examples."""
    named: bool
    """Whether it is one particular thing: a person, a place."""


@dataclass(frozen=True)
class Dictionary:
    """All senses, and the senses of each word, the most usual first."""

    senses: Mapping[Key, Sense]
    words: Mapping[tuple[str, str], tuple[Key, ...]]
    """(Part of speech, word) -> senses."""

    def above(self, key: Key) -> Iterator[tuple[int, Key]]:
        """The sense itself and all that are more general, nearest first, with the number of steps."""
        seen, ring, steps = {key}, [key], 0
        while ring:
            further = []
            for here in ring:
                yield steps, here
                for up in self.senses[here].up:
                    if up in self.senses and up not in seen:
                        seen.add(up)
                        further.append(up)
            ring, steps = further, steps + 1


def read_dictionary(folder: Path) -> Dictionary:
    """The nouns, verbs and adjectives of WordNet.

    Raises:
        MissingAssetError: a file is not there.
        BrokenFileError: a file is not what WordNet writes.
    """
    senses: dict[Key, Sense] = {}
    words: dict[tuple[str, str], tuple[Key, ...]] = {}
    for pos, name in _FILES.items():
        try:
            senses |= {key: sense for line in _lines(folder / f"data.{name}") for key, sense in [_sense(pos, line)]}
            words |= {key: found for line in _lines(folder / f"index.{name}") for key, found in [_index(pos, line)]}
        except (ValueError, IndexError) as error:
            raise BrokenFileError(
                f"{folder} does not hold WordNet's {name} files as wndb(5WN) describes them: {error}\n"
                f"  Unpack Debian's package wordnet-base again."
            ) from error
    return Dictionary(senses, words)


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise MissingAssetError(
            f"no dictionary at {path.parent}: {path.name} is missing\n"
            f"  apt-get download wordnet-base; dpkg -x wordnet-base*.deb wn; --dictionary wn/usr/share/wordnet"
        ) from error
    return (line for line in text.splitlines() if line and not line.startswith(" "))


def _tidy(word: str) -> str:
    return word.split("(")[0].replace("_", " ").lower()


def _sense(pos: str, line: str) -> tuple[Key, Sense]:
    facts, _, gloss = line.partition(" | ")
    fields = facts.split()
    count = int(fields[3], 16)
    pointers = fields[4 + 2 * count :]
    named, up = False, []
    for i in range(int(pointers[0])):
        symbol, place, kind = pointers[1 + 4 * i : 4 + 4 * i]
        # Only satellites of an adjective point up: their heads use the same pointer for pointing down.
        if symbol in _UP[pos] and (pos != "a" or fields[2] == "s"):
            up.append(("a" if kind == "s" else kind, int(place)))
            named |= symbol == "@i"
    definition = "; ".join(part for part in gloss.strip().split("; ") if not part.startswith('"'))
    return (pos, int(fields[0])), Sense(
        words=tuple(_tidy(word) for word in fields[4 : 4 + 2 * count : 2]),
        topic=int(fields[1]),
        up=tuple(up),
        gloss=definition,
        named=named,
    )


def _index(pos: str, line: str) -> tuple[tuple[str, str], tuple[Key, ...]]:
    fields = line.split()
    skip = 4 + int(fields[3])
    places = fields[skip + 2 :]
    if len(places) != int(fields[2]):
        raise ValueError(f"the entry of {fields[0]!r} names {len(places)} senses instead of {fields[2]}")
    return (pos, _tidy(fields[0])), tuple((pos, int(place)) for place in places)
