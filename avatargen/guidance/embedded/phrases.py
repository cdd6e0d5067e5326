"""Noun phrases: the things that a sentence names, each with the colors and the words that belong to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.lexicon import Rgb
from avatargen.guidance.embedded.tokens import THINGS, Token

_DYED = "dyed"
_VERBS_OF_COLOR = frozenset({"is", "are", "colored", "coloured", "of", "in", "all", "that", "which", _DYED})


def shaded(color: Rgb, shade: str) -> Rgb:
    """A color after a word such as "dark"."""
    factor, white = lexicon.SHADES[shade]
    r, g, b = (min(255, round(255 * white + (1 - white) * min(255.0, c * factor))) for c in color)
    return r, g, b


@dataclass(frozen=True)
class Phrase:
    """A thing that is named, with the words before it."""

    token: Token
    colors: tuple[Rgb, ...]
    bare: bool
    words: tuple[str, ...]
    inherits: bool
    """Stands in a list without an article of its own ("gloves and boots")."""
    dyed: bool = False
    """Whether the color is said to be paint."""


def color_of(phrase: Phrase, own: Mapping[str, Rgb]) -> Rgb | None:
    """The color asked for of a thing whose colors have meanings of their own; None if the text names none.

    `own` are those, by color word with or without a shade before it, or by the shade alone ("dark hair").
    """
    if not phrase.colors:
        return next((own[word] for word in reversed(phrase.words) if word in own), None)
    for name, rgb in own.items():
        shade, _, color = name.rpartition(" ")
        usual = lexicon.COLORS.get(color)
        if usual and phrase.colors[-1] == (shaded(usual, shade) if shade else usual):
            return rgb
    return phrase.colors[-1]


def phrases_of(tokens: Sequence[Token]) -> list[Phrase]:
    """Every thing that is named, in order."""
    out: list[Phrase] = []
    for i, token in enumerate(tokens):
        if token.kind not in THINGS:
            continue
        colors, bare, words, start = _before(tokens, i)
        if not colors:
            colors = _after(tokens, i)
        previous = tokens[start - 1] if start > 0 else None
        listed = previous is not None and previous.kind == "joiner" and start == i
        dyed = _DYED in words or (i + 1 < len(tokens) and tokens[i + 1].text == _DYED)
        out.append(Phrase(token, tuple(colors), bare, tuple(words), listed, dyed))
    return out


def _before(tokens: Sequence[Token], i: int) -> tuple[list[Rgb], bool, list[str], int]:
    """Colors and other words in front of the noun at `i`, and where its phrase starts."""
    colors: list[Rgb] = []
    words: list[str] = []
    bare = beside = False
    k = i - 1
    while k >= 0:
        token = tokens[k]
        if token.kind in ("color", "hair_color"):
            rgb = lexicon.COLORS[token.text]
            if k > 0 and tokens[k - 1].kind == "shade":
                rgb = shaded(rgb, tokens[k - 1].text)
                k -= 1
            if beside and colors:
                colors[0] = _between(rgb, colors[0])  # "blue green"
            else:
                colors.insert(0, rgb)
            beside = True
            k -= 1
            continue
        elif token.kind == "bare":
            bare = True
        elif token.kind in ("word", "trait", "shade"):
            words.insert(0, token.text)
        elif token.kind == "joiner" and colors and k > 0 and tokens[k - 1].kind == "color":
            pass  # "black and white shirt"
        else:
            break
        beside = False
        k -= 1
    return colors, bare, words, k + 1


def _between(first: Rgb, second: Rgb) -> Rgb:
    r, g, b = ((x + y) // 2 for x, y in zip(first, second, strict=True))
    return r, g, b


def _after(tokens: Sequence[Token], i: int) -> list[Rgb]:
    """Colors said after the noun: "boots that are red", "skin green", "armour, all gold"."""
    k = i + 1
    linked = False
    while k < len(tokens) and k <= i + 3 and tokens[k].text in _VERBS_OF_COLOR:
        linked = True
        k += 1
    shade = ""
    if k < len(tokens) and tokens[k].kind == "shade":
        shade, k = tokens[k].text, k + 1
    if k >= len(tokens) or tokens[k].kind != "color":
        return []
    # A color right before another noun belongs to that noun.
    ends = k + 1 >= len(tokens) or tokens[k + 1].kind in ("joiner", "break")
    follows = k + 2 < len(tokens) and tokens[k + 1].kind == "joiner" and tokens[k + 2].kind in ("color", "shade")
    if not (ends and (linked or tokens[i].kind == "part")) or (follows and not linked):
        return []
    rgb = lexicon.COLORS[tokens[k].text]
    return [shaded(rgb, shade) if shade else rgb]


def inherit(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Let lists share a color: in "red gloves and boots" the boots are red, in "red shirt and jeans" not the jeans."""
    out: list[Phrase] = []
    for phrase in phrases:
        own = phrase.token.kind == "garment" and lexicon.GARMENTS[phrase.token.text].color
        if phrase.inherits and not phrase.colors and not own and out and not phrase.bare:
            last = out[-1]
            same = last.token.kind == phrase.token.kind and phrase.token.kind in ("garment", "part")
            if same:
                phrase = replace(phrase, colors=last.colors, bare=last.bare)
        out.append(phrase)
    return out


def grown(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Let color words mean of hair what they mean of hair, and hair and beard be alike where one alone has a color."""
    out: list[Phrase] = []
    hair: tuple[Rgb, ...] = ()
    for phrase in phrases:
        if phrase.token.kind == "hair_color":
            hair = (lexicon.COLORS[phrase.token.text],)
        elif phrase.token.kind == "garment" and lexicon.GARMENTS[phrase.token.text].grown and not phrase.bare:
            several = len(phrase.colors) > 1
            natural = None if phrase.dyed or several else color_of(phrase, lexicon.HAIR_COLORS)
            hair = (natural,) if natural else phrase.colors or hair
            phrase = replace(phrase, colors=hair)
        out.append(phrase)
    return out
