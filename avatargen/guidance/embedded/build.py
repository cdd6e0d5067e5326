"""From a sentence to a person's build: the traits that its words ask for."""

from collections.abc import Sequence

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.deeds import acts, verb_first
from avatargen.guidance.embedded.tokens import (
    ARTICLES,
    BREAKS,
    GENDERED,
    JOINERS,
    PERSON,
    Unknown,
    is_known,
    lookup,
    placed,
    plain_token,
    words_of,
)


def traits_of(text: str, unknown: Unknown | None = None) -> dict[str, float]:
    """Traits and their targets in standard deviations; absent where nothing is asked."""
    words = words_of(text)
    out: dict[str, float] = {}
    for at, _, entry in build_of(words, unknown):
        strength = lexicon.STRENGTHS.get(words[at - 1], 1.0) if at else 1.0
        weak = 0.45 if entry in GENDERED else 1.0
        for trait, value in lexicon.SHAPE_WORDS[entry].items():
            share = weak if trait == "gender" else 1.0
            if trait not in out or abs(value * strength * share) > abs(out[trait]):
                out[trait] = value * strength * share
    return out


def build_of(words: Sequence[str], unknown: Unknown | None = None) -> list[tuple[int, str, str]]:
    """Words for a person's build: where they begin, the words themselves, the lexicon's entry for them."""
    found, at = [], 0
    open_ = {place[0] for place, token in placed(words) if token.kind == "word"} if unknown else set[int]()
    while at < len(words):
        for length in (3, 2, 1):
            phrase = " ".join(words[at : at + length])
            entry = phrase if phrase in lexicon.SHAPE_WORDS else ""
            if not entry and length == 1 and unknown and at in open_:
                entry = _unknown_build(words, at, unknown)
            if entry and at + length <= len(words):
                if not (
                    _describes_a_thing(words, at + length, phrase, unknown) or _describes_a_deed(words, at, at + length)
                ):
                    found.append((at, phrase, entry))
                at += length
                break
        else:
            at += 1
    return found


def _unknown_build(words: Sequence[str], at: int, unknown: Unknown) -> str:
    """The shape word that the unknown word at `at` is like; "" if none."""
    if is_known(words[at]):
        return ""
    before, follows = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
    roles: tuple[str, ...] = ("adjective", "noun")
    if follows in PERSON or follows in GENDERED:
        roles = ("adjective",)
    elif before in ARTICLES and (follows in JOINERS or follows in BREAKS or not follows):
        roles = ("noun",)
    found = (unknown(words[at], role) for role in roles)
    return next((f[1] for f in found if f and f[1] in lexicon.SHAPE_WORDS), "")


def _describes_a_thing(words: Sequence[str], after: int, phrase: str, unknown: Unknown | None) -> bool:
    """Whether a size word belongs to hair, a coat or the like: "short hair", "a heavy coat"."""
    if phrase in ("long legs", "short legs"):
        return False
    for word in words[after : after + 4]:
        if word in JOINERS or word in BREAKS or word in ("man", "woman", "person", "boy", "girl"):
            return False
        kind = lookup([word])
        if kind is None and unknown and plain_token(word).kind == "word" and not is_known(word):
            kind = unknown(word, "noun")
        if kind and kind[0] in ("garment", "part"):
            return True
    return False


def _describes_a_deed(words: Sequence[str], at: int, after: int) -> bool:
    """Whether a size word is a verb or stands behind one, and before nobody: "squat down", "land low"."""
    somebody = after < len(words) and (words[after] in GENDERED or words[after] in PERSON)
    if somebody:
        return False
    return acts(" ".join(words[:at])) if at else after < len(words) and verb_first(words[0])
