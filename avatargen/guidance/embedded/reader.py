"""From a sentence to what it names: colors of slots, traits, an action.

A small reader of noun phrases over the lexicon, not a network: "a red shirt and blue trousers" binds each color to its
garment by grammar, so swapped colors can never be confused. A word that it does not know is read as the entry that
`unknown` finds for it (`avatargen.guidance.embedded.open_words`), or left alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.build import build_of, traits_of
from avatargen.guidance.embedded.deeds import action_text, acts, doer, verb_first
from avatargen.guidance.embedded.dress import Paint, dressed
from avatargen.guidance.embedded.tokens import Unknown, clean, tokens_of, words_of

_FROM_BEHIND = re.compile(r"\bthe back (?:view )?of\b|\bseen from behind\b")
_IN_FRONT = frozenset({"face", "eyes", "lips", "beard", "chest", "shirt_front"})
"""What a view from behind cannot show. A plain back looks much like a chest, which the text must not paint there."""
_UNDER_CAPE = ("belly", "belt", "pelvis")
_PAINT_ALONE = re.compile(r"\bthe colou?rs of\b")
_TEXTURELESS = re.compile(r"\b(?:untextured|textureless|colou?rless|clay)\b")


@dataclass(frozen=True)
class Reading:
    """What a text names."""

    colors: Mapping[str, tuple[Paint, float]] = field(default_factory=dict)
    """Slot -> its paint, and how firmly it is asked for (0..1)."""
    traits: Mapping[str, float] = field(default_factory=dict)
    """Trait -> asked value in standard deviations; absent where nothing is asked."""
    action: bool = False
    """Whether the text says what someone does."""
    action_text: str = ""
    """The text with unknown verbs said by known ones; empty if there is no such verb."""


@lru_cache(maxsize=2048)
def read(text: str, unknown: Unknown | None = None) -> Reading:
    """What `text` names; words outside the lexicon are what `unknown` says, or ignored."""
    tidy = clean(text)
    # Who begins with a verb speaks of a deed: unknown things in it are no clothes ("gather magic").
    strange = None if verb_first(tidy) else unknown
    tokens = tokens_of(doer(tidy), strange)
    colors = dressed(tokens)
    if _TEXTURELESS.search(text.lower()):
        colors = {}
    if _FROM_BEHIND.search(text.lower()):
        colors = {slot: wanted for slot, wanted in colors.items() if slot not in _IN_FRONT}
        if "back" in colors and any(
            t.kind == "garment" and lexicon.GARMENTS[t.text].covers == ("back",) for t in tokens
        ):
            colors |= dict.fromkeys(_UNDER_CAPE, colors["back"])
    if _PAINT_ALONE.search(text.lower()):
        return Reading(colors=colors)
    acting = acts(tidy)
    said = "" if acting or unknown is None else action_text(tidy, unknown)
    return Reading(colors=colors, traits=traits_of(tidy, strange), action=acting or bool(said), action_text=said)


def build_words(text: str, besides: str = "", unknown: Unknown | None = None) -> str:
    """The words of a description that name a person's build: "a fat old man in red" -> "fat old man"; "" if none.

    Words that bear on a trait which `besides` names already are left out.
    """
    taken = set(traits_of(clean(besides), unknown))
    words = words_of(clean(text))
    kept = []
    for at, phrase, entry in build_of(words, unknown):
        if not taken & set(lexicon.SHAPE_WORDS[entry]) and phrase not in kept:
            if at and words[at - 1] in lexicon.STRENGTHS:
                kept.append(words[at - 1])
            kept.append(phrase)
    return " ".join(kept)
