"""From the things that a sentence names to the colors of slots: who wears what, and what covers what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.lexicon import Garment, Rgb
from avatargen.guidance.embedded.phrases import Phrase, color_of, grown, inherit, phrases_of, shaded
from avatargen.guidance.embedded.tokens import Token, tokens_of

Paint = tuple[tuple[Rgb, float], ...]
"""Colors with their shares."""

_CLOTHES = lexicon.GARMENTS["clothes"].covers


@dataclass
class _Layer:
    slot_paint: dict[str, tuple[Paint, float, float]] = field(default_factory=dict)
    """Slot -> paint, firmness, priority."""

    def put(self, slots: Sequence[str], paint: Paint, firmness: float, priority: float) -> None:
        for slot in slots:
            if slot not in self.slot_paint or self.slot_paint[slot][2] <= priority:
                self.slot_paint[slot] = (paint, firmness, priority)


def dressed(tokens: Sequence[Token]) -> dict[str, tuple[Paint, float]]:
    """Slot -> its paint, and how firmly it is asked for (0..1)."""
    layer = _Layer()
    _dress(tokens, layer, 1.0, 100.0)
    return {slot: (paint, firmness) for slot, (paint, firmness, _) in layer.slot_paint.items() if firmness > 0}


def _paint(colors: Sequence[Rgb]) -> Paint:
    return tuple((c, 1.0 / len(colors)) for c in colors)


def _dress(tokens: Sequence[Token], layer: _Layer, firmness: float, priority: float) -> None:  # noqa: C901  one case a kind
    phrases = phrases_of(tokens)
    skin: Paint = _paint(lexicon.PLAIN_SKIN)
    for phrase in phrases:
        if phrase.token.text == "skin" and (tone := color_of(phrase, lexicon.SKIN_TONES)):
            skin = _paint([tone])
    phrases = grown(inherit(phrases))
    worn = [p for p in phrases if p.token.kind == "garment"]
    named_hair = any(p.token.text == "hair" for p in phrases)
    over = {s for p in worn for s in lexicon.GARMENTS[p.token.text].covers if lexicon.GARMENTS[p.token.text].layer == 2}
    for phrase in phrases:
        match phrase.token.kind:
            case "outfit":
                _dress(tokens_of(lexicon.OUTFITS[phrase.token.text]), layer, 0.6 * firmness, priority - 60)
                if phrase.colors and not worn:
                    layer.put(_CLOTHES, _paint(phrase.colors), firmness, priority - 20)
            case "being":
                _being(phrase, layer, firmness, priority)
            case "part":
                _part(phrase, layer, skin, firmness, priority)
            case "special":
                _special(phrase, layer, skin, firmness, priority)
            case "hair_color":
                if not named_hair:
                    layer.put(("hair",), _paint([lexicon.COLORS[phrase.token.text]]), firmness, priority)
            case "garment":
                _wear(phrase, layer, skin, over, firmness, priority)
    _all_over(tokens, layer, firmness, priority, bool(worn))


def _being(phrase: Phrase, layer: _Layer, firmness: float, priority: float) -> None:
    words = lexicon.BEINGS[phrase.token.text]
    color = re.match(r"skin of ((?:grey )?[a-z]+)", words)
    if color:
        name = color.group(1)
        rgb = (
            lexicon.COLORS[name]
            if name in lexicon.COLORS
            else ((132, 148, 110) if name == "grey green" else lexicon.SKIN_TONES.get(name, (128, 128, 128)))
        )
        paint = _paint(phrase.colors or [rgb])
        layer.put(lexicon.BODY_PARTS["skin"], paint, 0.9 * firmness, priority - 70)
        words = words[color.end() :]
    _dress(tokens_of(words), layer, 0.6 * firmness, priority - 60)


def _part(phrase: Phrase, layer: _Layer, skin: Paint, firmness: float, priority: float) -> None:
    slots = lexicon.BODY_PARTS[phrase.token.text]
    if phrase.token.text == "skin":
        if skin != _paint(lexicon.PLAIN_SKIN):
            # Skin shows where nothing is worn: it is asked for everywhere, and clothes paint over it. Hair stays.
            unusual = skin[0][0] not in lexicon.SKIN_TONES.values()
            bare = [s for s in slots if s not in ("hair",)] if not unusual else list(slots)
            shown = bare if unusual else [s for s in bare if s in ("face", "beard", "neck", "hands")]
            layer.put(shown, skin, firmness, priority - 40)
    elif phrase.colors:
        layer.put(slots, _paint(phrase.colors), firmness, priority + 5)
    elif phrase.bare:
        layer.put(slots, skin, firmness, priority + 5)


def _special(phrase: Phrase, layer: _Layer, skin: Paint, firmness: float, priority: float) -> None:
    match phrase.token.text:
        case "bald":
            layer.put(("hair",), skin, firmness, priority - 5)
        case "shirtless":
            layer.put((*lexicon.BODY_PARTS["torso"], "upper_arms", "forearms"), skin, firmness, priority - 5)
        case "barefoot":
            layer.put(("feet",), skin, firmness, priority - 5)


def _wear(phrase: Phrase, layer: _Layer, skin: Paint, over: set[str], firmness: float, priority: float) -> None:
    garment: Garment = lexicon.GARMENTS[phrase.token.text]
    covers = _length(garment, phrase)
    if phrase.bare:
        layer.put(covers, skin, firmness, priority)
        return
    colors = phrase.colors or ((lexicon.COLORS[garment.color],) if garment.color else ())
    if not colors:
        return
    if "shirt_front" in over and garment.layer < 2 and "shirt_front" in covers:
        # Between the lapels, and wherever what is worn over it leaves off.
        shown = tuple(s for s in covers if s in garment.peeks or s not in over)
        layer.put(shown, _paint(colors), firmness, priority + 12)
        return
    order = priority + {0: 0, 1: 0, 2: 8, 3: 16}[garment.layer] - 0.1 * len(covers)
    layer.put(covers, _paint(colors), firmness, order)


def _length(garment: Garment, phrase: Phrase) -> tuple[str, ...]:
    """Covered slots after words such as "long" or "sleeveless"."""
    covers = garment.covers
    if "long" in phrase.words and "thighs" in covers and "chest" in covers:
        covers = (*covers, *(s for s in ("shins", "ankles") if s not in covers))
    if "sleeveless" in phrase.words:
        covers = tuple(s for s in covers if s not in ("upper_arms", "forearms"))
    return covers


def _all_over(tokens: Sequence[Token], layer: _Layer, firmness: float, priority: float, worn: bool) -> None:
    """Paint by "all gold", "dressed in black": a color that no noun follows."""
    for i, token in enumerate(tokens):
        if token.kind != "color" or i == 0:
            continue
        ends = i + 1 >= len(tokens) or tokens[i + 1].kind in ("joiner", "break")
        k = i - 1
        shade = ""
        if tokens[k].kind == "shade":
            shade, k = tokens[k].text, k - 1
        lead = tokens[k].text if k >= 0 else ""
        if not ends or lead not in ("all", "in", "wearing"):
            continue
        rgb = lexicon.COLORS[token.text]
        rgb = shaded(rgb, shade) if shade else rgb
        if lead == "all" and not worn:
            layer.put(lexicon.BODY_PARTS["skin"], _paint([rgb]), firmness, priority - 10)
        elif lead != "all":
            layer.put(_CLOTHES, _paint([rgb]), firmness, priority - 30)
