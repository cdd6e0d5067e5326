"""What the words say is patterned: "a red and white striped shirt", "a blue dress with yellow polka dots".

Pictures of 128 pixels carry no stripes, so a guidance is told of plain cloth, and the pattern is laid on its paint in
the end (`avatargen.implicit.patterns`). Both readings come from here: the text without its patterns, and the patterns.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.lexicon import Rgb
from avatargen.guidance.embedded.phrases import shaded
from avatargen.guidance.embedded.reader import read
from avatargen.implicit.worn import Color, outfits_in, tight_text

STRIPES, UPRIGHT, SIDES, SQUARES, PLAID, DOTS, BLOTCHES = (
    "stripes", "upright", "sides", "squares", "plaid", "dots", "blotches",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One garment's pattern."""

    kind: str
    """stripes (around), upright, sides (down the limbs), squares, plaid, dots, blotches."""
    garment: str
    """The lexicon's name of what wears it."""
    slots: frozenset[str]
    """What of the body that covers (the embedded guidance's slots)."""
    base: Color
    """What the garment is painted with, sRGB in 0..1."""
    over: tuple[Color, ...]
    """The colors laid on it."""
    width: float
    """Of a stripe, a square or a dot, metres."""
    period: float
    """From one to the next of the same color, metres."""


# Word -> kind, width of a stripe (square, dot), way from one to the next of two colors; metres.
_WORDS: dict[str, tuple[str, float, float]] = {
    "striped": (STRIPES, 0.030, 0.060), "stripy": (STRIPES, 0.030, 0.060), "stripey": (STRIPES, 0.030, 0.060),
    "pin striped": (UPRIGHT, 0.003, 0.024), "pinstriped": (UPRIGHT, 0.003, 0.024), "pinstripe": (UPRIGHT, 0.003, 0.024),
    "polka dotted": (DOTS, 0.030, 0.060), "polka dot": (DOTS, 0.030, 0.060), "dotted": (DOTS, 0.020, 0.045),
    "spotted": (DOTS, 0.035, 0.065), "checkered": (SQUARES, 0.040, 0.080), "chequered": (SQUARES, 0.040, 0.080),
    "checked": (PLAID, 0.025, 0.050), "gingham": (PLAID, 0.018, 0.036), "plaid": (PLAID, 0.030, 0.070),
    "tartan": (PLAID, 0.030, 0.070), "camouflage": (BLOTCHES, 0.050, 0.100), "camo": (BLOTCHES, 0.050, 0.100),
}  # fmt: skip
_NOUNS: dict[str, tuple[str, float, float]] = {
    "stripes": (STRIPES, 0.030, 0.120), "pinstripes": (UPRIGHT, 0.003, 0.024), "polka dots": (DOTS, 0.030, 0.060),
    "dots": (DOTS, 0.030, 0.060), "spots": (DOTS, 0.035, 0.065), "checks": (PLAID, 0.025, 0.050),
    "squares": (SQUARES, 0.040, 0.080),
}  # fmt: skip
"""After "with": trimmings stand farther apart."""
_WIDTHS = {"thin": 0.5, "narrow": 0.5, "fine": 0.5, "small": 0.6, "wide": 1.6, "broad": 1.6, "thick": 1.6,
           "bold": 1.6, "big": 1.6, "large": 1.6}  # fmt: skip
_UPRIGHT = frozenset({"vertical", "vertically"})
_DOWN_THE_SIDE = frozenset({"shins", "thighs"})
_CAMOUFLAGE = ((46, 50, 30), (140, 122, 80))
"""What is laid on the color of that name, which is what green and brown mean of it too."""
_WHITE, _NAVY, _BLACK = (246, 246, 246), (28, 36, 84), (16, 16, 18)
_UNSAID: dict[str, tuple[str, Rgb]] = {
    STRIPES: ("white", _NAVY), UPRIGHT: ("charcoal", _WHITE), DOTS: ("red", _WHITE), SQUARES: ("white", _BLACK),
    PLAID: ("red", _BLACK), SIDES: ("black", _WHITE),
}  # fmt: skip
"""What garments of which no color is said are painted with, and what is laid on that."""


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_ONE = rf"(?:(?:{_alternatives(lexicon.SHADES)}) )?(?:{_alternatives(set(lexicon.COLORS) - set(_WORDS))})"
_COLORS = rf"{_ONE}(?:(?:, and | and |, | & ){_ONE})*"
_WAYS = rf"(?:(?:{_alternatives([*_WIDTHS, *_UPRIGHT, 'horizontal', 'horizontally'])})[ -])*"
_GARMENT = rf"(?P<garment>{_alternatives(lexicon.GARMENTS)})(?:e?s)?\b"
_BETWEEN = r"(?P<between>(?:(?!(?:and|with|in|on|over|under)\b)[\w'-]+ ){0,2}?)"
_BEFORE = re.compile(
    rf"\b(?:(?P<colors>{_COLORS}) )?(?P<ways>{_WAYS})(?P<word>{_alternatives(_WORDS)}) "
    rf"(?:(?P<more>{_COLORS}) )?{_BETWEEN}{_GARMENT}(?: in (?P<last>{_COLORS})(?=$|[,.;]| (?:and|with)\b))?"
)
_AFTER = re.compile(
    rf"\b(?P<colors>{_COLORS}) {_BETWEEN}{_GARMENT} with (?P<ways>{_WAYS})"
    rf"(?:(?P<more>{_COLORS}) )?(?P<late>{_WAYS})(?P<word>{_alternatives(_NOUNS)})\b(?! on\b)"
)
_ALL_OVER = re.compile(
    rf"\bin (?P<what>(?:{_COLORS} )?(?:{_alternatives(w for w, one in _WORDS.items() if one[0] == BLOTCHES)}))\b"
    rf"(?! {_BETWEEN.replace('?P<between>', '?:')}(?:{_alternatives(lexicon.GARMENTS)})(?:e?s)?\b)",
    re.IGNORECASE,
)
"""Camouflage is worn by itself, too."""


@lru_cache(maxsize=256)
def without_patterns(text: str) -> tuple[str, tuple[Pattern, ...]]:
    """The text with plain garments in place of patterned ones, and their patterns; as it is where it names none.

    Those of an outfit that it names count, too: a lumberjack's shirt is plaid unless the text says another.
    """
    said, found = _taken(text)
    for _, implied in outfits_in(text.lower()):
        for one in _taken(implied)[1]:
            if _worn(text, *one):
                base, garment, between, _ = one
                said = f"{said.rstrip(' .')} in a {base} {between}{garment}"
                found.append(one)
    patterns = tuple(filter(None, (_worn(said, *one) for one in found)))
    return (said, patterns) if patterns else (text, ())


def _taken(text: str) -> tuple[str, list[tuple[str, str, str, tuple]]]:
    """The text with plain garments, and of each patterned one its color, name, what is said between, and the rest."""
    said, found = _ALL_OVER.sub(r"in a \g<what> uniform", text), []
    for form in (_BEFORE, _AFTER):
        start = 0
        while match := form.search(_plain(said), start):
            one = _read(match)
            start = match.end()
            if one is None:
                continue
            base, words = one[0], f"{one[0]} {match['between']}{said[match.start('garment') : match.end('garment')]}"
            plural = re.match(r"e?s\b", said[match.end("garment") :])
            words += plural.group() if plural else ""
            said = f"{said[: match.start()]}{words}{said[match.end() :]}"
            start = match.start() + len(words)
            found.append((base, match["garment"], match["between"], one[1]))
    return said, found


def _plain(text: str) -> str:
    """Lower case, hyphens of pattern words opened; every place stays where it is."""
    return re.sub(r"\b(polka|pin|vertically|horizontally)-(?=dot|strip)", r"\1 ", text.lower())


def _read(match: re.Match[str]) -> tuple[str, tuple[str, tuple[Rgb, ...], float, float]] | None:
    """The garment's own color in words, and kind, colors laid on it, width and period; None where there is nothing."""
    said = match.groupdict()
    noun = "late" in said
    kind, width, period = (_NOUNS if noun else _WORDS)[match["word"]]
    ways = f"{said['ways']} {said.get('late') or ''}".replace("-", " ").split()
    if noun and len(_names(said["colors"])) > 1:
        return None  # on a garment of several colors stripes are trimmings
    if kind == STRIPES and _UPRIGHT & set(ways):
        kind = UPRIGHT
    elif kind == STRIPES and noun and set(lexicon.GARMENTS[match["garment"]].covers) >= _DOWN_THE_SIDE:
        kind = SIDES
    for word in ways:
        width, period = width * _WIDTHS.get(word, 1.0), period * _WIDTHS.get(word, 1.0)
    names = [name for part in ("colors", "more", "last") for name in _names(said.get(part))]
    if kind == BLOTCHES:
        name = match["word"] if names in ([], ["green"], ["green", "brown"]) else names[0]
        over = (
            _CAMOUFLAGE
            if name == match["word"]
            else tuple(_rgb(n) for n in names[1:3]) or (_beside(_rgb(name), PLAID),)
        )
        return name, (kind, over, width, period)
    if not names:
        name, other = _UNSAID[kind]
        return name, (kind, (other,), width, period)
    others = tuple(_rgb(name) for name in names[1:] if name != names[0]) or (_beside(_rgb(names[0]), kind),)
    if noun and len(names) > 1 and names[1] == names[0]:
        return None
    return names[0], (kind, others, width, period)


def _worn(text: str, base: str, garment: str, between: str, rest: tuple) -> Pattern | None:
    """The pattern, on the slots that its garment has in the whole text."""
    kind, over, width, period = rest
    own = read(f"a {base} {between}{garment}").colors
    whole = read(tight_text(text)).colors
    color = _rgb(base)
    slots = {slot for slot in own if slot not in whole or any(rgb == color for rgb, _ in whole[slot][0])}
    if not slots:
        return None
    return Pattern(
        kind=kind,
        garment=garment,
        slots=frozenset(slots),
        base=_unit(color),
        over=tuple(_unit(rgb) for rgb in over),
        width=width,
        period=period,
    )


def _names(said: str | None) -> list[str]:
    return re.findall(_ONE, said) if said else []


def _rgb(name: str) -> Rgb:
    """What a color is, with or without a shade before it."""
    if name in lexicon.COLORS:
        return lexicon.COLORS[name]
    shade, _, color = name.partition(" ")
    return shaded(lexicon.COLORS[color], shade)


def _beside(color: Rgb, kind: str) -> Rgb:
    """What goes with a color where no second one is said: white; a darker shade on light cloth and in plaid."""
    if kind == PLAID:
        return _dimmed(color, 0.45)
    light = sum(color) / 3
    return _WHITE if light < 150 else _NAVY if max(color) - min(color) < 30 else _dimmed(color, 0.5)


def _dimmed(color: Rgb, factor: float) -> Rgb:
    red, green, blue = (round(factor * value) for value in color)
    return red, green, blue


def _unit(rgb: Rgb) -> Color:
    red, green, blue = (value / 255.0 for value in rgb)
    return red, green, blue
