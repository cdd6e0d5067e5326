"""From a sentence to its words, each with its kind: an entry of the lexicon, a word of grammar, or neither."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from avatargen.guidance.embedded import lexicon

Unknown = Callable[[str, str], tuple[str, str] | None]
"""A word that the lexicon does not know and its place in the sentence ("noun", "adjective", "verb") to the kind and
name of the entry that it is to be read as, or None. Must answer the same every time."""

_WRAPPERS = (
    r"\bthe colou?rs of\b",
    r"\ba (?:full[- ]body )?(?:3d )?render(?:ing)? of\b",
    r"\ba close-up render(?:ing)? of\b",
    r"\bin unreal engine\b",
    r"\bseen from (?:behind|the front|the side|above)\b",
    r"\b(?:the|a) (?:front|back|face|head|hands?|feet|legs?|arms?|(?:upper |lower )?body|side|torso)(?: view)? of\b",
    r"\b(?:photo|picture|image|portrait|sculpture)(?: of)\b(?= an? | the )",
)
JOINERS = frozenset({"and", ",", "&"})
BREAKS = frozenset(
    {"with", "in", "over", "on", "wearing", "under", "has", "wears", "who", "that", "which", ";", ".", "is", "dressed"}
)
ARTICLES = frozenset({"a", "an", "the", "some", "his", "her", "their", "its"})
_BARE = frozenset({"bare", "naked", "nude", "exposed", "uncovered"})
GENDERED = frozenset({"man", "woman", "guy", "lady", "men", "women"})
PERSON = frozenset(("person", "people", "human", "adult", "figure", "character"))
THINGS = frozenset({"garment", "part", "being", "outfit", "special", "hair_color"})
"""Kinds of what a noun phrase can be about."""


@dataclass(frozen=True)
class Token:
    """A word, or a few that are one entry."""

    kind: str
    """A table of the lexicon, or: special, bare, joiner, break, article, word."""
    text: str


_SPECIAL = {
    "bald": "bald", "shirtless": "shirtless", "topless": "shirtless", "barefoot": "barefoot", "barefooted": "barefoot",
    "bare-chested": "shirtless", "bald-headed": "bald",
}  # fmt: skip


def stem(word: str) -> str:
    """A crude English stem: without -ing, -ed, -es, -s and a doubled consonant before them."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            if ending == "es" and not word.endswith(("ches", "shes", "sses", "xes", "zes")):
                continue
            root = word[: -len(ending)]
            if ending in ("ing", "ed") and len(root) > 3 and root[-1] == root[-2] and root[-1] not in "ls":
                root = root[:-1]
            return root
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


_STATES = ("tired", "exhausted", "dizzy", "angry", "excited", "crying", "lying", "dying")
ACTION_STEMS = frozenset(stem(word) for word in (*lexicon.ACTION_WORDS, *_STATES))
_PATTERNS = ("striped", "checked", "checkered", "plaid", "spotted", "polka", "tartan")
_WAYS = tuple(f"{way}{end}" for way in ("forward", "backward", "upward", "downward") for end in ("", "s"))
_OWN = frozenset(
    {*lexicon.STRENGTHS, *_PATTERNS, *_WAYS, "sideways", "sideward", "long", "sleeveless"}
    | {"untextured", "textureless", "clay"}
)
"""Words without an entry that the reader understands all the same."""


_HAIR_WORDS = (
    *("blond", "blonde", "dirty blond", "dirty blonde", "strawberry blond", "strawberry blonde"),
    *("brunette", "redhead"),
)
"""Colors that speak of hair even where no hair is named."""


@lru_cache(maxsize=1)
def entries() -> dict[str, str]:
    """Phrase -> kind, later kinds winning."""
    out: dict[str, str] = {}
    for kind, table in (
        ("trait", lexicon.SHAPE_WORDS),
        ("outfit", lexicon.OUTFITS),
        ("being", lexicon.BEINGS),
        ("part", lexicon.BODY_PARTS),
        ("garment", lexicon.GARMENTS),
        ("shade", lexicon.SHADES),
        ("color", lexicon.COLORS),
    ):
        for name in table:
            # "a chubby queen" is both a shape and an outfit: shapes are collected apart (`traits_of`).
            out[name] = kind
    for name in _HAIR_WORDS:
        out[name] = "hair_color"
    return out


_GROWN = re.compile(r"\b([a-z]+) (haired|bearded)\b")
_OF_A_BOB = "|".join(
    ("an?", "her", "his", "short", "long", "sleek", "straight", "wavy", "blunt", "chin-length", *lexicon.COLORS)
)
_AFTER_A_BOB = "|".join(("and", *filter(str.isalpha, BREAKS)))
_BOB = re.compile(rf"\b({_OF_A_BOB}) bob\b(?: (?:hair)?cut| hairstyle)?(?=$|[,;.&]| (?:{_AFTER_A_BOB})\b)")
"""The haircut, not someone of that name."""


def clean(text: str) -> str:
    """Lower case, plain quotes, view wordings removed, a bob told from a Bob."""
    text = text.lower().replace("\u2019", "'").replace("-coloured", "").replace("-colored", "")
    for wrapper in _WRAPPERS:
        text = re.sub(wrapper, " ", text)
    text = _BOB.sub(r"\1 bob-haircut", _GROWN.sub(r"\1-\2", text))
    return re.sub(r"\s+", " ", text).strip()


def words_of(text: str) -> list[str]:
    """Words and the punctuation that parts them, of a text in lower case."""
    return re.findall(r"[a-z0-9']+(?:-[a-z0-9']+)*|[,;.&]", text)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def lookup(words: Sequence[str]) -> tuple[str, str] | None:
    """Kind and entry of exactly these words."""
    known = entries()
    phrase = " ".join(words)
    for candidate in (phrase, phrase.replace("-", " "), _singular(phrase), phrase + "s"):
        if candidate in known:
            return known[candidate], candidate
    return None


@lru_cache(maxsize=4096)
def _nearest(word: str) -> tuple[str, str] | None:
    """The lexicon's word for one that is misspelt."""
    if len(word) < 6:
        return None
    close = difflib.get_close_matches(word, [name for name in entries() if " " not in name], n=1, cutoff=0.87)
    return (entries()[close[0]], close[0]) if close else None


def tokens_of(text: str, unknown: Unknown | None = None) -> list[Token]:
    """Tokens of a text in lower case; words that nothing knows are what `unknown` says."""
    out = [token for _, token in placed(words_of(text))]
    return _resolved(out, unknown) if unknown else out


def placed(words: Sequence[str]) -> list[tuple[range, Token]]:
    """Tokens, and the places of their words."""
    out: list[tuple[range, Token]] = []
    at = 0
    while at < len(words):
        for length in (3, 2, 1):
            found = lookup(words[at : at + length]) if at + length <= len(words) else None
            if found:
                out.append((range(at, at + length), Token(found[0], found[1])))
                at += length
                break
        else:
            out += [(range(at, at + 1), token) for token in _compound(words[at]) or [plain_token(words[at])]]
            at += 1
    return out


def _compound(word: str) -> list[Token]:
    """The tokens of "red-haired", "dark-brown-haired" or "white-bearded"; none for all other words."""
    *before, last = word.split("-")
    if not before or last not in ("haired", "bearded"):
        return []
    return [token for _, token in placed(before)] + [Token("garment", "hair" if last == "haired" else "beard")]


def _resolved(tokens: Sequence[Token], unknown: Unknown) -> list[Token]:
    """`tokens`, unknown words taken for the entries that they are like; the last word first."""
    out = list(tokens)
    for i in range(len(out) - 1, -1, -1):
        if out[i].kind != "word" or is_known(out[i].text):
            continue
        follows = out[i + 1].kind if i + 1 < len(out) else ""
        # Before a thing a word can only describe it. Before another unknown word it may do so, too.
        person = i + 1 < len(out) and (out[i + 1].text in GENDERED or out[i + 1].text in PERSON)
        roles: tuple[str, ...] = ("noun", "adjective") if follows == "word" else ("noun",)
        if follows in THINGS or person:
            roles = ("adjective",)
        found = next((f for f in (unknown(out[i].text, role) for role in roles) if f), None)
        if found:
            out[i] = Token(*found)
    return out


def is_known(word: str) -> bool:
    """Whether the reader understands a word that has no entry."""
    return word in _OWN or stem(word) in ACTION_STEMS


def plain_token(word: str) -> Token:
    """The token of a word that is no entry as it stands."""
    if word in JOINERS:
        return Token("joiner", word)
    if word in BREAKS:
        return Token("break", word)
    if word in ARTICLES:
        return Token("article", word)
    if word in _BARE:
        return Token("bare", word)
    if word in _SPECIAL:
        return Token("special", _SPECIAL[word])
    if word in ("no", "without"):
        return Token("bare", word)
    if "-" in word:
        # "yellow-clad", "gold-plated": the color counts.
        head = word.split("-")[0]
        if head in lexicon.COLORS:
            return Token("color", head)
    near = _nearest(word)
    return Token(near[0], near[1]) if near else Token("word", word)
