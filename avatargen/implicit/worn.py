"""What the words say is worn that no skin-tight layer can show: skirts, capes, hats, hair, beards.

A small reading of noun phrases: each noun gives a piece of some style, adjectives before it give length and color, and
the embedded guidance's lexicon supplies what an outfit's name implies ("a wizard": a robe and a pointed hat). Colors
that are not said beside the noun are left to what the body wears there.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.reader import clean, read

Color = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Something worn that has a shape of its own."""

    kind: str
    """skirt | sleeves | cape | hair | beard | hat"""
    style: str
    """Which of the kind, e.g. "pointed" of the hats."""
    length: float = 0.5
    """0 to 1: of a skirt from waist to ankle, of hair from ear to waist, of a beard to the chest."""
    flare: float = 0.1
    """How much wider a skirt's hem is than the hips, as a share of the leg."""
    color: Color | None = None
    """sRGB in 0..1; None: what is worn on the body there."""
    flat: bool = False
    """Hair that a hat presses down."""


_SKIRTS: dict[str, tuple[float, float]] = {
    "miniskirt": (0.30, 0.10), "mini skirt": (0.30, 0.10), "skirt": (0.50, 0.16), "kilt": (0.48, 0.10),
    "long skirt": (0.92, 0.16), "tutu": (0.22, 0.30), "dress": (0.55, 0.15), "long dress": (0.95, 0.17),
    "gown": (0.96, 0.22), "evening gown": (0.96, 0.18), "wedding dress": (0.97, 0.30), "bridal gown": (0.97, 0.30),
    "wedding gown": (0.97, 0.30), "ball gown": (0.97, 0.34), "robe": (0.95, 0.13), "long robe": (0.97, 0.13),
    "cassock": (0.95, 0.10), "habit": (0.95, 0.10), "kimono": (0.93, 0.06), "hanfu": (0.93, 0.14),
    "toga": (0.80, 0.10), "kaftan": (0.90, 0.10), "tunic": (0.28, 0.10), "tunic dress": (0.45, 0.10),
    "bathrobe": (0.60, 0.08), "coat": (0.50, 0.06), "long coat": (0.72, 0.08), "trench coat": (0.62, 0.08),
    "overcoat": (0.60, 0.06), "lab coat": (0.50, 0.05), "white coat": (0.50, 0.05), "raincoat": (0.52, 0.08),
    "duster": (0.75, 0.08), "cloak": (0.95, 0.12), "sundress": (0.5, 0.18), "nightgown": (0.85, 0.12),
}  # fmt: skip
"""Length and flare of what hangs from the waist."""
_WIDE_SLEEVES = frozenset({"robe", "long robe", "kimono", "hanfu", "habit", "kaftan"})
_HATS: dict[str, str] = {
    "pointed hat": "pointed", "witch hat": "pointed", "wizard hat": "pointed", "top hat": "top", "bowler hat": "bowler",
    "bowler": "bowler", "cowboy hat": "cowboy", "straw hat": "straw", "sombrero": "straw", "baseball cap": "cap",
    "cap": "cap", "beanie": "close", "beret": "beret", "turban": "turban", "bandana": "close", "headscarf": "close",
    "chef hat": "toque", "chef's hat": "toque", "toque": "toque", "nurse cap": "close", "crown": "crown",
    "tiara": "crown", "hard hat": "brimmed helmet", "construction helmet": "brimmed helmet",
    "fire helmet": "brimmed helmet", "firefighter helmet": "brimmed helmet", "helmet": "helmet",
    "winged helmet": "helmet", "hood": "hood", "cowl": "hood", "hijab": "hood", "veil": "hood", "headdress": "crown",
    "pirate hat": "straw", "party hat": "pointed", "santa hat": "pointed", "fedora": "bowler", "hat": "bowler",
}  # fmt: skip
_OUTFIT_HATS: dict[str, str] = {
    "wizard": "pointed", "witch": "pointed", "cowboy": "cowboy", "pirate": "straw", "chef": "toque", "cook": "toque",
    "firefighter": "brimmed helmet", "fireman": "brimmed helmet", "police officer": "cap", "policeman": "cap",
    "cop": "cap", "pilot": "cap", "sailor": "cap", "astronaut": "bubble", "knight": "closed helmet", "king": "crown",
    "queen": "crown", "princess": "crown", "prince": "crown", "emperor": "crown", "farmer": "straw",
    "miner": "brimmed helmet", "construction worker": "brimmed helmet", "builder": "brimmed helmet",
}  # fmt: skip
"""The shape that an outfit's own hat has; its color comes with the outfit."""
_HAIR: dict[str, tuple[str, float]] = {
    "hair": ("short", 0.0), "hairstyle": ("short", 0.0), "haircut": ("short", 0.0), "locks": ("short", 0.0),
    "curls": ("curly", 0.0), "afro": ("afro", 0.0), "mohawk": ("mohawk", 0.0), "ponytail": ("ponytail", 0.5),
    "pigtails": ("pigtails", 0.4), "braids": ("pigtails", 0.5), "braid": ("ponytail", 0.7), "bun": ("bun", 0.0),
    "buns": ("buns", 0.0), "dreadlocks": ("curly", 0.4), "wig": ("curly", 0.3), "bob-haircut": ("short", 0.22),
}  # fmt: skip
_HAIR_STYLES = {
    "spiky": "spiky", "spiked": "spiky", "curly": "curly", "wild": "spiky", "messy": "spiky", "frizzy": "afro",
    "wavy": "short", "straight": "short", "braided": "pigtails", "fluffy": "curly",
}  # fmt: skip
_BLONDES = {"blond": (224, 190, 110), "blonde": (224, 190, 110), "brunette": (84, 54, 34), "redhead": (160, 68, 30)}
_BEARDS = {"beard": "full", "goatee": "chin", "chin beard": "chin", "moustache": "moustache", "mustache": "moustache"}
_HAIR_WORDS = ("brown", "black", "blonde", "grey", "white", "ginger")
_USUAL_HAIR, _GOLD = (70, 48, 32), (212, 170, 60)
_USUAL_COLORS = {"hair": _USUAL_HAIR, "beard": _USUAL_HAIR, "hat": (58, 44, 36), "cape": (128, 24, 28)}
"""Of what is not painted on the skin as well, where the text says no color; hair before beards."""
_COVERED = re.compile(r"\b(?:mask|masked|armou?r|robot|fur|furry|scales|mascot|animal|astronaut|ninja|all in)\b")
_BARE_LEGS = re.compile(
    r"\b(?:bare|naked|nude|legs?|swim\w*|bikini|leotard|bodysuit|underwear|boxers|briefs|sumo|wrestler|gymnast|toga)\b"
)
_HEAD = frozenset({"hair", "face", "eyes", "lips", "beard"})
_OPEN_HATS = frozenset({"pointed", "top", "bowler", "cowboy", "straw", "cap", "toque", "beret", "crown"})
_HAIRLESS = frozenset({"bald", "bald-headed", "shaved", "hairless"})
_GROWN = {"haired": "hair", "bearded": "beard"}
_COMPOUND = re.compile(rf"\b([\w-]+)-({'|'.join(_GROWN)})\b")
_BREAKS = "with|in|and|over|on|wearing|under|has|wears|who|that|which|is|dressed|of|from|to"
_BREAK = re.compile(rf"\b(?:{_BREAKS})\b|[,;.&]")
_VERY_LONG, _LONG, _SHORT = ("very long", "waist-length", "floor-length"), ("long",), ("short", "cropped", "trimmed")


def pieces_of(text: str, usual_hair: bool = True) -> tuple[Piece, ...]:
    """The pieces that `text` names, at most one of each kind.

    A later phrase wins: an outfit's usual things come first, and what is said of them beside it replaces them. A person
    of whose head nothing is said gets brown hair if `usual_hair`; "bald" forbids hair.
    """
    found: dict[str, Piece] = {}
    plain = clean(text)
    for phrase, outfit in _phrases(plain):
        for piece in _of_phrase(phrase, outfit):
            before = found.get(piece.kind)
            if before is not None:  # "black hair in two buns" is one head of hair, "a wizard with a hat" has one hat
                length = max(piece.length, before.length) if piece.kind == "hair" else piece.length
                piece = replace(piece, color=piece.color or before.color, length=length)
            found[piece.kind] = piece
    if any(word in plain.replace(",", " ").split() for word in _HAIRLESS):
        found.pop("hair", None)
    elif usual_hair and "hair" not in found and _has_hair(plain, found.get("hat")):
        female = bool(re.search(r"\b(?:woman|girl|lady|bride|nurse|princess|queen|witch|actress|mother)\b", plain))
        color = found["beard"].color if "beard" in found else None
        length = 0.42 if female else 0.0
        found["hair"] = Piece(kind="hair", style="short", length=length, color=color or _unit(_USUAL_HAIR))
    for kind, usual in _USUAL_COLORS.items():
        if kind in found and found[kind].color is None:
            own = found["hair"].color if kind == "beard" and "hair" in found else None
            found[kind] = replace(found[kind], color=own or _unit(usual))
    if "hat" in found and "hair" in found:
        found["hair"] = replace(found["hair"], flat=True)
    return tuple(found.values())


def with_trousers(text: str) -> str:
    """`text`, with grey trousers where it dresses a person's chest and says nothing of the legs.

    Who names a jacket does not ask for bare legs.
    """
    plain = clean(text)
    colors = read(plain).colors
    dressed = "chest" in colors and colors["chest"][0][0][0] not in lexicon.PLAIN_SKIN
    legs = {"thighs", "shins"} & set(colors) or any(piece.kind == "skirt" for piece in pieces_of(plain))
    if not dressed or legs or not _is_person(plain) or _COVERED.search(plain) or _BARE_LEGS.search(plain):
        return text
    return f"{text.rstrip(' .')} and grey trousers"


def named_colors(text: str) -> Float[Tensor, "n 3"]:
    """The colors (sRGB in 0..1) that `text` gives to what lies on the body, each once; complexions are none."""
    skin = {*lexicon.PLAIN_SKIN, *lexicon.SKIN_TONES.values()}
    asked = read(tight_text(text)).colors
    said = {rgb for slot, (paint, _) in asked.items() if slot not in _HEAD for rgb, _ in paint if rgb not in skin}
    return torch.tensor(sorted(said)).reshape(-1, 3) / 255.0


def tight_text(text: str) -> str:
    """`text` without the capes, hats, hair and beards it names: the skin and what lies on it, which are painted.

    A cape that hangs free must not be painted on the back as well, and hair not on the forehead beside it. Under a hat
    that an outfit's name brings along ("a wizard") the head has the hair's color, not the hat's.
    """
    names = (*_HATS, *_HAIR, *_BEARDS, "cape", "cloak", "mantle")
    loose = "|".join(re.escape(word) for word in sorted(names, key=len, reverse=True))
    word = rf"(?!(?:{_BREAKS})\b)[\w'-]+\s+"
    phrase = rf"(?:,?\s*\b(?:with|and|in|wearing|under|over)\s+|,\s*)(?:{word}){{0,5}}?(?:{loose})s?\b"
    tight = re.sub(phrase, "", text, flags=re.IGNORECASE)
    worn = {piece.kind: piece for piece in pieces_of(tight)}
    if "hat" not in worn or "hair" not in worn:
        return tight
    grown = {piece.kind: piece for piece in pieces_of(text)}.get("hair", worn["hair"])
    return f"{tight.rstrip(' .')} with {_hair_word(grown.color)} hair"


def _hair_word(color: Color | None) -> str:
    """The usual word for a color of hair."""

    def off(word: str) -> float:
        meant = _color(f"{word} hair", ("hair",)) or (0.0, 0.0, 0.0)
        return math.dist(meant, color or _unit(_USUAL_HAIR))

    return min(_HAIR_WORDS, key=off)


def _has_hair(text: str, worn: Piece | None) -> bool:
    """Whether the text speaks of a person whose head is bare, but for a hat on top: then everybody expects hair."""
    if worn is not None and worn.style not in _OPEN_HATS:
        return False
    named = worn is None and "hair" in read(text).colors
    return _is_person(text) and not named and not _COVERED.search(text)


def _is_person(text: str) -> bool:
    person = re.search(r"\b(?:man|woman|boy|girl|person|lady|guy|adult|people)\b", text)
    outfit = any(True for _ in outfits_in(text))
    being = any(re.search(rf"\b{re.escape(name)}s?\b", text) for name in lexicon.BEINGS)
    return bool(person or outfit) and not being


def outfits_in(text: str) -> Iterator[tuple[str, str]]:
    """The outfits that a text in lower case names ("a knight"), and what each implies."""
    for name, implied in lexicon.OUTFITS.items():
        if re.search(rf"\b{re.escape(name)}s?\b", text):
            yield name, str(implied)


def says(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether a text, or the outfit that it names, has words of this pattern, which is in lower case."""
    plain = text.lower()
    return any(pattern.search(said) for said in (plain, *(implied for _, implied in outfits_in(plain))))


def _phrases(text: str) -> Iterator[tuple[str, str]]:
    """Noun phrases of the text, those that an outfit's name implies first, with that name."""
    for name, implied in outfits_in(text):
        for phrase in _BREAK.split(implied):
            yield phrase.strip(), name
    for phrase in _BREAK.split(text):
        yield phrase.strip(), ""
    for before, grown in _COMPOUND.findall(text):  # "red-haired", "white-bearded"
        yield f"{before.replace('-', ' ')} {_GROWN[grown]}", ""


def _of_phrase(phrase: str, outfit: str) -> Iterator[Piece]:
    words = f" {phrase} "
    name = _last(words, _SKIRTS)
    if name and not re.search(r"\b(?:jacket|shirt)\b", words):
        length, flare = _SKIRTS[name]
        if _said(words, _VERY_LONG + _LONG):
            length = max(length, 0.95) if flare > 0.08 else max(length, 0.72)
        elif _said(words, ("short", "mini")):
            length = min(length, 0.32)
        color = _color(phrase, ("pelvis", "thighs", "belly", "back"))
        yield Piece(kind="skirt", style=name, length=length, flare=flare, color=color)
        if name in _WIDE_SLEEVES:
            yield Piece(kind="sleeves", style="wide", color=color)
    if re.search(r"\b(?:cape|cloak|mantle)\b", words):
        yield Piece(
            kind="cape", style="cape", length=0.45 if " short " in words else 0.85, color=_color(phrase, ("back",))
        )
    if name := _last(words, _HATS):
        style = (
            _OUTFIT_HATS.get(outfit, _HATS[name])
            if _HATS[name] in ("bowler", "cap", "helmet", "close")
            else _HATS[name]
        )
        own = _unit(_GOLD) if style == "crown" else None
        yield Piece(kind="hat", style=style, color=_color(phrase, ("hair",)) or own)
    if name := _last(words, _HAIR):
        yield _hair(words, phrase, name)
    elif any(f" {word} " in words for word in _BLONDES) and not _last(words, _BEARDS):
        word = next(word for word in _BLONDES if f" {word} " in words)
        yield Piece(
            kind="hair",
            style="short",
            length=0.4 if _said(words, ("woman", "girl")) else 0.0,
            color=_unit(_BLONDES[word]),
        )
    if name := _last(words, _BEARDS):
        length = 0.9 if _said(words, _LONG) else 0.15 if _said(words, _SHORT) else 0.3
        yield Piece(
            kind="beard",
            style=_BEARDS[name],
            length=length,
            color=_color(phrase, ("beard",)) or _color(f"{_colored(phrase)} hair", ("hair",)),
        )


def _hair(words: str, phrase: str, name: str) -> Piece:
    style, length = _HAIR[name]
    for word, other in _HAIR_STYLES.items():
        if f" {word} " in words:
            style = other
    if "two buns" in words:
        style = "buns"
    if _said(words, _VERY_LONG):
        length = 1.0
    elif _said(words, _LONG):
        length = max(length, 0.65)
    elif _said(words, ("shoulder-length", "medium", "chin-length")):
        length = 0.3
    blonde = next((rgb for word, rgb in _BLONDES.items() if f" {word} " in words), None)
    return Piece(kind="hair", style=style, length=length, color=_unit(blonde) if blonde else _color(phrase, ("hair",)))


def _last(words: str, table: dict) -> str | None:
    """The entry named last, the longest where several end there."""
    ends = [
        (match.end(), len(name), name)
        for name in table
        for match in re.finditer(rf"\b{re.escape(name)}(?:s|es)?\b", words)
    ]
    return max(ends)[2] if ends else None


def _said(words: str, wanted: tuple[str, ...]) -> bool:
    return any(f" {word} " in words for word in wanted)


def _color(phrase: str, slots: tuple[str, ...]) -> Color | None:
    """The color that a phrase alone gives to one of `slots`."""
    asked = read(phrase).colors
    for slot in slots:
        if slot in asked and len(asked[slot][0]) == 1 and _colored(phrase):
            return _unit(asked[slot][0][0][0])
    return None


def _colored(phrase: str) -> str:
    """The color words of a phrase."""
    known = [*lexicon.SHADES, *lexicon.COLORS]
    return " ".join(word for word in phrase.split() if word in known)


def _unit(rgb: tuple[int, int, int]) -> Color:
    red, green, blue = (value / 255.0 for value in rgb)
    return red, green, blue
