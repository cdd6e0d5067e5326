"""A motion with its words, and their mirror image."""

import re
from dataclasses import dataclass, replace

from avatargen.core.values import Motion
from motiongen.importers.retarget import mirror


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A motion with its words."""

    motion: Motion
    label: str
    alternatives: tuple[str, ...] = ()
    loop: bool = False
    source: str = ""
    licence: str = ""
    group: str = ""
    """Clips of one group never part company in a split."""


def swap_sides(text: str) -> str:
    """The words of a mirror image: left and right, clockwise and counter-clockwise change places."""
    pairs = {"left": "right", "right": "left", "clockwise": "counterclockwise", "counterclockwise": "clockwise"}
    pattern = re.compile(r"\b(left|right|counterclockwise|clockwise)(s|wards|ward|-handed|ies)?\b", re.IGNORECASE)

    def swap(match: re.Match[str]) -> str:
        word = match.group(1)
        other = pairs[word.lower()]
        return (other.capitalize() if word[0].isupper() else other) + (match.group(2) or "")

    # "upright" and "all right" hold no side: \b keeps the first, the second is rare enough to name.
    return pattern.sub(swap, text.replace("all right", "all\0right")).replace("all\0right", "all right")


def mirrored_clip(clip: Clip) -> Clip:
    """The clip's mirror image, with left and right swapped in its words."""
    image = mirror(clip.motion)
    return replace(
        clip,
        motion=replace(image, name=f"{clip.motion.name}_mirrored"),
        label=swap_sides(clip.label),
        alternatives=tuple(swap_sides(words) for words in clip.alternatives),
    )
