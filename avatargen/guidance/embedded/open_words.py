"""Words outside the lexicon, by what they are like: the nearest entry in a learned space, or nothing.

A small network, distilled from a sentence-embedding model and a dictionary (`avatargen.training.open_words`), turns a
word and its place in the sentence into a vector, and does the same with every entry of the lexicon. The reader then
goes on as if the nearest entry stood there: "vermilion pantaloons" reads as scarlet trousers. What is like none of
them is ignored, and an entry that is added to the lexicon takes part without training.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn.functional import normalize

from avatargen.core.files import digest_bytes
from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.tokens import entries, stem

PREFIX = "open/"
"""Of this network's tensors in the file of weights."""

BUCKETS = 20000
WIDTH = 72
SPACE = 96
_LONGEST = 48
"""At most so many pieces of a word are read."""

ROLES: Mapping[str, frozenset[str]] = {
    "noun": frozenset({"garment", "outfit", "being", "part", "color", "trait"}),
    "adjective": frozenset({"color", "trait"}),
    "verb": frozenset({"action"}),
}
"""Place in the sentence -> the kinds of entries that a word there can stand for."""

THRESHOLD = 0.4
"""Least chance of meaning something at which a word is read; chosen on the split "choose" of the benchmark's list."""

_FUNCTION_WORDS = """
a about above across after again against all almost along also although always am among an and another any anybody
anyone anything are around as at away back be because been before behind being below beneath beside besides between
beyond both but by can cannot could did do does doing done down during each either else enough even ever every
everybody everyone everything except few for from front had half has have having he her here hers herself him himself
his how however if in inside into is it its itself just kind least less like lot made make makes many may me might
mine more most much must my near neither never next no nobody none nor not nothing now of off often on once one only
onto or other others our out outside over own per perhaps pair pairs piece quite rather really s same several shall
she should side since so some somebody someone something sort still style such t than that the their them then there
these they thing things this those though through to together too toward towards two three four five six seven eight
nine ten under until up upon us very was we were what when where which while who whole whom whose why will with within
without well would yes yet you your adult figure human people person persons character avatar body view render rendering
picture photo image engine unreal plain average normal ordinary long colour color colours colors
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that are never looked up."""


def pieces(text: str, role: str) -> list[int]:
    """Bucket numbers of a word's pieces; `role` is a key of `ROLES`, or the kind of an entry of the lexicon."""
    words = [stem(w[:-1] if w.endswith("s") and not w.endswith("ss") else w) for w in text.replace("-", " ").split()]
    whole = " ".join(words)
    names = [f"{salt}:{whole}" for salt in "wxw"] + [f"{role}/{salt}:{whole}" for salt in "wx"] + [role]
    marked = f"<{'> <'.join(words)}>"
    names += [f"g:{marked[i : i + n]}" for n in (3, 4, 5) for i in range(max(len(marked) - n + 1, 0))]
    return [1 + zlib.crc32(name.encode()) % (BUCKETS - 1) for name in names][:_LONGEST]


def encode_words(words: Sequence[str], roles: Sequence[str]) -> Integer[Tensor, "n p"]:
    """Piece numbers of words in their roles, padded with zeros."""
    rows = [pieces(word, role) for word, role in zip(words, roles, strict=True)]
    out = torch.zeros(len(rows), max((len(row) for row in rows), default=1), dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return out


class OpenWords(nn.Module):
    """Words in their roles to unit vectors, and how much each is like nothing that the lexicon knows."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS, WIDTH, mode="mean", padding_idx=0)
        self.layers = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256), nn.GELU(), nn.Linear(256, SPACE + 1))
        self.sharpness = nn.Parameter(torch.tensor([14.0]))

    def forward(self, numbers: Integer[Tensor, "n p"]) -> tuple[Float[Tensor, "n space"], Float[Tensor, "n 1"]]:
        """Unit vectors, and the logit of "nothing"."""
        out = self.layers(self.table(numbers))
        return normalize(out[:, :SPACE], dim=-1), out[:, SPACE:]

    def chances(
        self, numbers: Integer[Tensor, "n p"], known: Float[Tensor, "entries space"]
    ) -> Float[Tensor, "n choices"]:
        """Logarithms of the chances that words mean each of the entries `known`, and, last, nothing."""
        vectors, nothing = self(numbers)
        return torch.cat([self.sharpness * (vectors @ known.T), nothing], dim=1).log_softmax(1)


def all_entries() -> dict[str, str]:
    """Every entry that a word can stand for -> its kind."""
    out = {name: kind for name, kind in entries().items() if kind not in ("shade", "hair_color")}
    return {**dict.fromkeys(sorted(lexicon.ACTION_WORDS), "action"), **out}


def meaning(name: str, kind: str) -> tuple[str, str]:
    """The same for entries that mean the same to the reader."""
    tables: dict[str, Mapping[str, object]] = {
        "garment": lexicon.GARMENTS, "outfit": lexicon.OUTFITS, "being": lexicon.BEINGS, "part": lexicon.BODY_PARTS,
        "color": lexicon.COLORS, "trait": lexicon.SHAPE_WORDS,
    }  # fmt: skip
    return kind, str(tables[kind][name]) if kind in tables else name


class Lookup:
    """Finds the lexicon's entry for a word that is not in it.

    Two with the same weights are equal, so that what has been read with one is known to the other, and a cache of
    readings does not keep one for each time that the weights were loaded.
    """

    def __init__(self, network: OpenWords) -> None:
        self._digest = digest_bytes(b"".join(v.numpy().tobytes() for v in network.state_dict().values()))
        self._network = network.eval().requires_grad_(False)
        known = all_entries()
        self._names = list(known)
        self._kinds = [known[name] for name in self._names]
        self._vectors = network(encode_words(self._names, self._kinds))[0]
        meanings = [meaning(name, kind) for name, kind in known.items()]
        number = {m: i for i, m in enumerate(dict.fromkeys(meanings))}
        self._meaning = torch.tensor([number[m] for m in meanings])
        self._find = lru_cache(maxsize=4096)(self._look)

    def __call__(self, word: str, role: str) -> tuple[str, str] | None:
        """Kind and name of the entry that `word` in `role` is to be read as; None: to be ignored."""
        kind, name, chance = self.best(word, role)
        return (kind, name) if name and chance >= THRESHOLD else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lookup) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def best(self, word: str, role: str) -> tuple[str, str, float]:
        """The likeliest kind and entry, and the chance of any in this role; empty where `word` is never looked up."""
        if word in FUNCTION_WORDS or not word.replace("-", "").replace("'", "").isalpha() or len(word) < 3:
            return "", "", 0.0
        return self._find(word, role)

    def _look(self, word: str, role: str) -> tuple[str, str, float]:
        row = self._network.chances(encode_words([word], [role]), self._vectors)[0, :-1].exp()
        fits = torch.tensor([kind in ROLES[role] for kind in self._kinds])
        by_meaning = torch.zeros(int(self._meaning.max()) + 1).index_add_(0, self._meaning, row * fits)
        best = int(by_meaning.argmax())
        at = int((row * fits * (self._meaning == best)).argmax())
        # Whether it means something at all decides; among a dozen kinds of hat the likeliest need not be likely.
        return self._kinds[at], self._names[at], float(by_meaning.sum())


def load_lookup(tensors: Mapping[str, Tensor]) -> Lookup | None:
    """The lookup from a file's tensors; None where the file holds no open words.

    Raises:
        RuntimeError: the tensors are of another network.
    """
    state = {k.removeprefix(PREFIX): v.float() for k, v in tensors.items() if k.startswith(PREFIX)}
    if not state:
        return None
    network = OpenWords()
    network.load_state_dict(state)
    return Lookup(network)
