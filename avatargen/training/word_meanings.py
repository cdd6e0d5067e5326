"""What a dictionary's words mean in the lexicon's terms: labels for `avatargen.training.open_words`, without hand work.

A sense means the nearest of its more general senses that has a word of the lexicon (a hussar is a soldier, jodhpurs are
trousers), and, softly, the entries whose definitions a teacher finds alike (a sheriff is much like a police officer).
Senses of other topics mean nothing here. A word means what its senses do, the usual ones more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.guidance.embedded.open_words import FUNCTION_WORDS, all_entries
from avatargen.training.dictionary import Dictionary, Key

_WORN = ("clothing", "footwear", "footgear", "body armor", "hairdo", "facial hair", "headdress", "helmet")
"""What is worn: kinds of these, and of whatever entries for garments are placed by hand."""
_PLACED: Mapping[str, tuple[str, int]] = {
    "armor": ("n", 0), "chain mail": ("n", 0), "breastplate": ("n", 0), "backpack": ("n", 0), "mask": ("n", 0),
    "goggles": ("n", 0), "spectacles": ("n", 0), "sunglasses": ("n", 0), "veil": ("n", 0), "wig": ("n", 0),
    "necklace": ("n", 0), "glasses": ("n", 0), "bandages": ("n", 0), "hair": ("n", 0), "skin": ("n", 0),
    "tall": ("a", 0), "short": ("a", 2), "fat": ("a", 0), "thin": ("a", 1), "strong": ("a", 0), "weak": ("a", 0),
    "muscular": ("a", 1), "old": ("a", 0), "young": ("a", 0), "big": ("a", 0), "small": ("a", 0),
    "feminine": ("a", 0), "masculine": ("a", 0), "stocky": ("a", 0), "athletic": ("a", 2), "petite": ("a", 0),
    "statue": ("n", 0), "robot": ("n", 0), "mannequin": ("n", 1), "skeleton": ("n", 2), "bear": ("n", 0),
    "gorilla": ("n", 0), "mermaid": ("n", 0), "golem": ("n", 0), "giant": ("n", 0), "pirate": ("n", 1),
    "wizard": ("n", 1), "cleaner": ("n", 2), "builder": ("n", 2), "clown": ("n", 1), "fireman": ("n", 3),
    "alien": ("n", 2), "ghost": ("n", 2), "ogre": ("n", 1), "mummy": ("n", 1), "blond": ("a", 0), "jog": ("v", 2),
    "hike": ("v", 1), "box": ("v", 1), "fence": ("v", 2), "defend": ("v", 1), "clap": ("v", 3), "hit": ("v", 2),
    "lie": ("v", 1), "cry": ("v", 1), "salute": ("v", 1),
}  # fmt: skip
"""Entry -> its sense, where the first one of the right topic is another."""
_ALSO = {
    ("a", "robust", 0): "strong", ("n", "weakling", 0): "weak", ("a", "diminutive", 0): "small",
    ("v", "gesture", 0): "wave", ("v", "hit", 0): "hit", ("v", "lie", 6): "lie", ("v", "bow", 2): "bow",
    ("v", "beat", 1): "punch", ("v", "jog", 3): "jog", ("v", "chew", 0): "eat", ("v", "box", 2): "box",
    ("n", "pensioner", 0): "senior citizen",
}  # fmt: skip
"""Further senses, by word and number, that an entry stands for."""
_LOOSE_WORDS = """
clothes clothing outfit attire garb costume top body shell tail fists fleece cleats sides wings ears horns harness
quiver sleeves heels trainers excite confuse scare interact think win play hold touch press tire star jack tired bored
afraid sad happy angry dizzy knock idle rest wait type rage land drop cast charge block summon pick tattoo tattoos
man male men human punk manager graduate judge set exercise spell seat thumb conjure taunt turn argue skip reload
exhaust scoop
"""
_LOOSE = frozenset(_LOOSE_WORDS.split())
"""Entries too general, or with too many other senses, to stand for all that is a kind of them."""

_PERSON, _BODY, _COLOR, _WEAR, _VERBS = 18, 8, 7, 6, (29, 32, 33, 34, 35, 38)
_STEPS = {"garment": 6, "outfit": 4, "being": 3, "part": 1, "color": 4, "trait": 3, "action": 3}
_PRIOR = {"garment": 3.0, "color": 3.0, "outfit": 2.0, "being": 2.0, "part": 1.5, "trait": 2.0, "action": 2.5}
"""How much more often than in English at large a sense is meant in a text about a person."""
_ALIKE = {"garment": 0.22, "outfit": 0.46, "being": 0.48, "trait": 0.5, "color": 0.42, "action": 0.5}
"""Cosine of the teacher's vectors at which a definition is as likely an entry's as not."""
_WIDTH = 0.05
_SURE = {"n": 0.92, "v": 0.9, "a": 0.9}

ROLE = {"n": "noun", "v": "verb", "a": "adjective"}


@dataclass(frozen=True)
class Example:
    """A word in a role, and what it means."""

    word: str
    role: str
    meaning: Mapping[str, float]
    """Entry -> chance; what lacks to one is the chance of meaning nothing."""
    sense: Key | None
    """The usual one, whose definition the teacher read; None where it read none."""
    worn: bool = False
    """Whether it is found below clothing in the dictionary."""


class Meanings:
    """What each sense means; build once."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.kinds = all_entries()
        self.roots = {
            key for word in _WORN for key in dictionary.words.get(("n", word), ()) if self._topic(key) in (6, 8)
        }
        self.hues = {k for w in ("chromatic color", "achromatic color") for k in dictionary.words.get(("n", w), ())}
        self.hue_heads = {up for w in ("red", "gray") for k in self._sense("a", w, 0) for up in dictionary.senses[k].up}
        self.hue_heads |= {*self._sense("a", "blond", 0), *self._sense("a", "brunet", 0)}
        self.pigments = {k for w in ("pigment", "dye") for k in self._sense("n", w, 0)}
        self.build_heads = {k for w, (pos, at) in _PLACED.items() if pos == "a" for k in self._sense(pos, w, at)}
        self.anchors: dict[Key, list[str]] = defaultdict(list)
        self.home: dict[str, Key] = {}
        for name, kind in self.kinds.items():
            for key in self._senses_of(name, kind):
                self.home.setdefault(name, key)
                if name not in _LOOSE:
                    self.anchors[key].append(name)
        for (pos, word, at), name in _ALSO.items():
            for key in self._sense(pos, word, at):
                self.anchors[key].append(name)

    def _sense(self, pos: str, word: str, at: int) -> tuple[Key, ...]:
        return self.dictionary.words.get((pos, word), ())[at : at + 1]

    def _topic(self, key: Key) -> int:
        return self.dictionary.senses[key].topic

    def _below(self, key: Key, roots: set[Key]) -> bool:
        return any(here in roots for _, here in self.dictionary.above(key))

    def kind_of(self, key: Key) -> tuple[str, ...]:
        """Kinds of entries that a sense of this topic can mean."""
        topic = self._topic(key)
        if key[0] == "v":
            return ("action",) if topic in _VERBS else ()
        if key[0] == "a":
            return ("color",) if self._below(key, self.hue_heads) else ("trait",) if topic == 0 else ()
        if topic == _PERSON:
            return ("outfit", "being", "trait")
        if topic == _COLOR:
            return ("color",) if self._below(key, self.hues) else ()
        if self._below(key, self.roots):
            return ("garment",)
        if topic == 27 and self._below(key, self.pigments):
            return ("color",)
        if topic == 9:
            return ("outfit", "being", "trait")
        return ("part",) if topic == _BODY else ("being",) if topic in (5, 6) else ()

    def _senses_of(self, name: str, kind: str) -> list[Key]:
        words = self.dictionary.words
        if name in _PLACED:
            pos, at = _PLACED[name]
            return list(self._sense(pos, name, at))
        if kind == "action":
            forms = [name, name + "e", name.replace("-", " ")]
            found = [k for form in forms for k in words.get(("v", form), ())[:4] if kind in self.kind_of(k)]
            return found[:2]
        out: list[Key] = []
        for pos in ("n", "a"):
            singular = name[:-1] if name.endswith("s") else name
            keys = (*words.get((pos, name), ()), *words.get((pos, singular), ()))
            fit = [key for key in keys if kind in self.kind_of(key)]
            if pos == "a" and kind not in ("color", "trait"):
                continue
            if pos == "a" and kind == "trait":
                fit = [key for key in fit if self._below(key, self.build_heads)]
            out += fit[:1]
        return out

    def by_structure(self, key: Key) -> dict[str, float]:
        """Entries of the nearest more general sense that has any."""
        kinds = self.kind_of(key)
        for steps, here in self.dictionary.above(key):
            names = [n for n in self.anchors.get(here, ()) if self.kinds[n] in kinds and steps <= _STEPS[self.kinds[n]]]
            if names:
                sure = _SURE[key[0]] * 0.96**steps
                return {name: sure / len(names) for name in names}
        return {}

    def text(self, key: Key) -> str:
        """What the teacher reads of a sense."""
        sense = self.dictionary.senses[key]
        return f"{sense.words[0]}: {sense.gloss}"[:160]

    def wanted(self) -> list[Key]:
        """Senses that the teacher is to read: of topics that can mean something."""
        return [k for k, s in self.dictionary.senses.items() if not s.named and self._is_wanted(k)]

    def _is_wanted(self, key: Key) -> bool:
        kinds = self.kind_of(key)
        return (bool(kinds) and kinds not in (("being",), ("part",))) or bool(self.by_structure(key))


def entry_text(meanings: Meanings, name: str) -> str:
    """What the teacher reads of an entry."""
    home = meanings.home.get(name)
    kind = {"garment": "a garment", "outfit": "a person", "being": "a being", "part": "a part of the body",
            "color": "a color", "trait": "a person's build", "action": "a movement"}[meanings.kinds[name]]  # fmt: skip
    return f"{name}: {meanings.dictionary.senses[home].gloss}"[:160] if home else f"{name}: {kind}"


class Taught:
    """What senses mean, by structure and by what the teacher finds alike."""

    def __init__(
        self, meanings: Meanings, keys: Sequence[Key], vectors: Float[Tensor, "n d"], entries: Float[Tensor, "m d"]
    ) -> None:
        self.meanings = meanings
        self.row = {key: i for i, key in enumerate(keys)}
        self.similar = (vectors @ entries.T).numpy()
        self.names = list(meanings.kinds)
        kinds = [meanings.kinds[name] for name in self.names]
        self.by_kind = {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in _ALIKE}
        self.alike = np.array([_ALIKE.get(kind, 1.0) for kind in kinds])

    def meaning(self, key: Key) -> dict[str, float]:
        """Entry -> chance, for one sense."""
        if self.meanings.dictionary.senses[key].named:
            return {}  # texts name no one that the lexicon could know
        by_structure = self.meanings.by_structure(key)
        at = [i for kind in self.meanings.kind_of(key) for i in self.by_kind.get(kind, ())]
        if by_structure or key not in self.row or not at:
            return by_structure
        scores = (self.similar[self.row[key], at] - self.alike[at]) / _WIDTH
        chance = 1.0 / (1.0 + np.exp(-scores.max()))
        shares = np.exp(1.5 * (scores - scores.max()))
        shares[shares < 0.1] = 0.0
        shares *= chance / shares.sum()
        return {self.names[i]: float(share) for i, share in zip(at, shares, strict=True) if share > 0.005}

    def example(self, pos: str, word: str, keys: Sequence[Key]) -> Example:
        """A word by its senses, the usual ones and those that matter for people counting more."""
        total, mix, worn = 0.0, defaultdict[str, float](float), False
        usual = [key for key in keys if not self.meanings.dictionary.senses[key].named]
        for k, key in enumerate(usual[:6]):
            means = self.meaning(key)
            kind = self.meanings.kinds[max(means, key=means.__getitem__)] if means else ""
            weight = (k + 1.0) ** -1.3 * _PRIOR.get(kind, 1.0)
            total += weight
            worn |= kind == "garment"
            for name, chance in means.items():
                mix[name] += weight * chance
        read = next((key for key in keys if key in self.row), None)
        return Example(word, ROLE[pos], {name: chance / total for name, chance in mix.items() if chance}, read, worn)


def examples(taught: Taught) -> list[Example]:
    """Every single word of the dictionary in each of its roles."""
    kinds, out = taught.meanings.kinds, []
    for (pos, word), keys in taught.meanings.dictionary.words.items():
        if " " in word or not word.replace("-", "").replace("'", "").isalpha() or word in FUNCTION_WORDS:
            continue
        made = taught.example(pos, word, keys)
        out.append(made)
        if pos != "a" and ("a", word) not in taught.meanings.dictionary.words:
            # Before a noun an amethyst is no stone, and most other things say nothing there.
            colors = {n: c for n, c in made.meaning.items() if pos == "n" and kinds[n] == "color"}
            total = sum(colors.values())
            colors = {n: 0.9 * c / total for n, c in colors.items()} if total > 0.05 else {}
            out.append(replace(made, role="adjective", meaning=colors))
    return out


def as_rows(made: Sequence[Example], names: Sequence[str]) -> Float[Tensor, "n choices"]:
    """Chances of every entry and, last, of nothing."""
    number = {name: i for i, name in enumerate(names)}
    out = torch.zeros(len(made), len(names) + 1)
    for i, example in enumerate(made):
        for name, chance in example.meaning.items():
            out[i, number[name]] += chance
    out[:, -1] = (1.0 - out.sum(1)).clamp_min(0.0)
    return out
