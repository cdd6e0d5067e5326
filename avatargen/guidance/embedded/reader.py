"""From a sentence to what it names: colors of slots, traits, an action.

A small reader of noun phrases over the lexicon, not a network: "a red shirt and blue trousers" binds each color to its
garment by grammar, so swapped colors can never be confused. A word that it does not know is read as the entry that
`unknown` finds for it (`avatargen.guidance.embedded.open_words`), or left alone.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.lexicon import Garment, Rgb

Paint = tuple[tuple[Rgb, float], ...]
"""Colors with their shares."""

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
_FROM_BEHIND = re.compile(r"\bthe back (?:view )?of\b|\bseen from behind\b")
_IN_FRONT = frozenset({"face", "eyes", "lips", "beard", "chest", "shirt_front"})
"""What a view from behind cannot show. A plain back looks much like a chest, which the text must not paint there."""
_UNDER_CAPE = ("belly", "belt", "pelvis")
_PAINT_ALONE = re.compile(r"\bthe colou?rs of\b")
_TEXTURELESS = re.compile(r"\b(?:untextured|textureless|colou?rless|clay)\b")
_JOINERS = frozenset({"and", ",", "&"})
_BREAKS = frozenset(
    {"with", "in", "over", "on", "wearing", "under", "has", "wears", "who", "that", "which", ";", ".", "is", "dressed"}
)
_VERBS_OF_COLOR = frozenset({"is", "are", "colored", "coloured", "of", "in", "all", "that", "which"})
_ARTICLES = frozenset({"a", "an", "the", "some", "his", "her", "their", "its"})
_BARE = frozenset({"bare", "naked", "nude", "exposed", "uncovered"})
_CLOTHES = lexicon.GARMENTS["clothes"].covers


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


@dataclass(frozen=True)
class _Token:
    kind: str
    """A table of the lexicon, or: special, bare, joiner, break, article, word."""
    text: str


_PATTERNS = {
    "striped": 1.0,
    "checked": 1.0,
    "checkered": 1.0,
    "plaid": 1.0,
    "spotted": 1.0,
    "polka": 1.0,
    "tartan": 1.0,
}
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


_ACTION_STEMS = frozenset(stem(part) for word in lexicon.ACTION_WORDS for part in (word,)) | frozenset(
    stem(word) for word in ("tired", "exhausted", "dizzy", "angry", "excited", "crying", "lying", "dying")
)


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
            # "a chubby queen" is both a shape and an outfit: shapes are collected apart (`_traits`).
            out[name] = kind
    for name in ("blond", "blonde", "brunette", "redhead"):
        out[name] = "hair_color"
    return out


def clean(text: str) -> str:
    """Lower case, plain quotes, view wordings removed."""
    text = text.lower().replace("\u2019", "'").replace("-coloured", "").replace("-colored", "")
    for wrapper in _WRAPPERS:
        text = re.sub(wrapper, " ", text)
    return re.sub(r"\s+", " ", text).strip()


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+(?:-[a-z0-9']+)*|[,;.&]", text)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _lookup(words: Sequence[str]) -> tuple[str, str] | None:
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


def _tokens(text: str, unknown: Unknown | None = None) -> list[_Token]:
    out = [token for _, token in _placed(_words(text))]
    return _resolved(out, unknown) if unknown else out


def _placed(words: Sequence[str]) -> list[tuple[range, _Token]]:
    """Tokens, and the places of their words."""
    out: list[tuple[range, _Token]] = []
    at = 0
    while at < len(words):
        for length in (3, 2, 1):
            found = _lookup(words[at : at + length]) if at + length <= len(words) else None
            if found:
                out.append((range(at, at + length), _Token(found[0], found[1])))
                at += length
                break
        else:
            out.append((range(at, at + 1), _plain(words[at])))
            at += 1
    return out


_THINGS = frozenset({"garment", "part", "being", "outfit", "special", "hair_color"})
_WAYS = frozenset(
    (
        "forward",
        "forwards",
        "backward",
        "backwards",
        "sideways",
        "sideward",
        "upward",
        "upwards",
        "downward",
        "downwards",
    )
)
_OWN = frozenset((*lexicon.STRENGTHS, *_PATTERNS, *_WAYS, "long", "sleeveless", "untextured", "textureless", "clay"))
"""Words without an entry that the reader understands all the same."""


_PERSON = frozenset(("person", "people", "human", "adult", "figure", "character"))


def _resolved(tokens: Sequence[_Token], unknown: Unknown) -> list[_Token]:
    """`tokens`, unknown words taken for the entries that they are like; the last word first."""
    out = list(tokens)
    for i in range(len(out) - 1, -1, -1):
        if out[i].kind != "word" or _is_known(out[i].text):
            continue
        follows = out[i + 1].kind if i + 1 < len(out) else ""
        # Before a thing a word can only describe it. Before another unknown word it may do so, too.
        person = i + 1 < len(out) and (out[i + 1].text in _GENDERED or out[i + 1].text in _PERSON)
        roles: tuple[str, ...] = ("noun", "adjective") if follows == "word" else ("noun",)
        if follows in _THINGS or person:
            roles = ("adjective",)
        found = next((f for f in (unknown(out[i].text, role) for role in roles) if f), None)
        if found:
            out[i] = _Token(*found)
    return out


def _is_known(word: str) -> bool:
    return word in _OWN or stem(word) in _ACTION_STEMS


def _plain(word: str) -> _Token:
    if word in _JOINERS:
        return _Token("joiner", word)
    if word in _BREAKS:
        return _Token("break", word)
    if word in _ARTICLES:
        return _Token("article", word)
    if word in _BARE:
        return _Token("bare", word)
    if word in _SPECIAL:
        return _Token("special", _SPECIAL[word])
    if word in ("no", "without"):
        return _Token("bare", word)
    if "-" in word:
        # "red-haired", "yellow-clad": the color counts.
        head = word.split("-")[0]
        if head in lexicon.COLORS:
            return _Token("color", head)
    near = _nearest(word)
    return _Token(near[0], near[1]) if near else _Token("word", word)


def shaded(color: Rgb, shade: str) -> Rgb:
    """A color after a word such as "dark"."""
    factor, white = lexicon.SHADES[shade]
    r, g, b = (min(255, round(255 * white + (1 - white) * min(255.0, c * factor))) for c in color)
    return r, g, b


@dataclass(frozen=True)
class _Phrase:
    """A thing that is named, with the words before it."""

    token: _Token
    colors: tuple[Rgb, ...]
    bare: bool
    words: tuple[str, ...]
    inherits: bool
    """Stands in a list without an article of its own ("gloves and boots")."""


def _phrases(tokens: Sequence[_Token]) -> list[_Phrase]:
    out: list[_Phrase] = []
    for i, token in enumerate(tokens):
        if token.kind not in ("garment", "part", "being", "outfit", "special", "hair_color"):
            continue
        colors, bare, words, start = _before(tokens, i)
        if not colors:
            colors = _after(tokens, i)
        previous = tokens[start - 1] if start > 0 else None
        listed = previous is not None and previous.kind == "joiner" and start == i
        out.append(_Phrase(token, tuple(colors), bare, tuple(words), listed))
    return out


def _before(tokens: Sequence[_Token], i: int) -> tuple[list[Rgb], bool, list[str], int]:
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


def _after(tokens: Sequence[_Token], i: int) -> list[Rgb]:
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


@dataclass
class _Layer:
    slot_paint: dict[str, tuple[Paint, float, float]] = field(default_factory=dict)
    """Slot -> paint, firmness, priority."""

    def put(self, slots: Sequence[str], paint: Paint, firmness: float, priority: float) -> None:
        for slot in slots:
            if slot not in self.slot_paint or self.slot_paint[slot][2] <= priority:
                self.slot_paint[slot] = (paint, firmness, priority)


def _paint(colors: Sequence[Rgb]) -> Paint:
    return tuple((c, 1.0 / len(colors)) for c in colors)


@lru_cache(maxsize=2048)
def read(text: str, unknown: Unknown | None = None) -> Reading:
    """What `text` names; words outside the lexicon are what `unknown` says, or ignored."""
    tidy = clean(text)
    # Who begins with a verb speaks of a deed: unknown things in it are no clothes ("gather magic").
    strange = None if _verb_first(tidy) else unknown
    tokens = _tokens(_who(tidy), strange)
    layer = _Layer()
    _dress(tokens, layer, 1.0, 100.0)
    colors = {slot: (paint, firmness) for slot, (paint, firmness, _) in layer.slot_paint.items() if firmness > 0}
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
    acts = _acts(tidy)
    said = "" if acts or unknown is None else _action_text(tidy, unknown)
    return Reading(colors=colors, traits=_traits(tidy, strange), action=acts or bool(said), action_text=said)


def _who(text: str) -> str:
    """`text` without whom someone only acts like: nobody who walks like a zombie wears its rags."""
    before, *after = re.split(r" (?:like|as) ", text, maxsplit=1)
    return before if after and _acts(before) else text


def _dress(tokens: Sequence[_Token], layer: _Layer, firmness: float, priority: float) -> None:  # noqa: C901  one case a kind
    phrases = _phrases(tokens)
    skin: Paint = _paint(lexicon.PLAIN_SKIN)
    for phrase in phrases:
        if phrase.token.text == "skin" and phrase.colors:
            skin = _paint([_skin_color(phrase)])
    phrases = _inherit(phrases)
    worn = [p for p in phrases if p.token.kind == "garment"]
    named_hair = any(p.token.text == "hair" for p in phrases)
    over = {s for p in worn for s in lexicon.GARMENTS[p.token.text].covers if lexicon.GARMENTS[p.token.text].layer == 2}
    for phrase in phrases:
        match phrase.token.kind:
            case "outfit":
                _dress(_tokens(lexicon.OUTFITS[phrase.token.text]), layer, 0.6 * firmness, priority - 60)
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


def _skin_color(phrase: _Phrase) -> Rgb:
    """Color words before "skin" mean complexions where there is one of that name."""
    color = phrase.colors[-1]
    for name, rgb in lexicon.COLORS.items():
        if color == rgb and name in lexicon.SKIN_TONES:
            return lexicon.SKIN_TONES[name]
        if name in lexicon.SKIN_TONES and color == shaded(rgb, "dark"):
            return lexicon.SKIN_TONES.get(f"dark {name}", color)
        if name in lexicon.SKIN_TONES and color == shaded(rgb, "light"):
            return lexicon.SKIN_TONES.get(f"light {name}", color)
    return color


def _inherit(phrases: Sequence[_Phrase]) -> list[_Phrase]:
    """Let lists share a color: in "red gloves and boots" the boots are red, in "red shirt and jeans" not the jeans."""
    out: list[_Phrase] = []
    for phrase in phrases:
        own = phrase.token.kind == "garment" and lexicon.GARMENTS[phrase.token.text].color
        if phrase.inherits and not phrase.colors and not own and out and not phrase.bare:
            last = out[-1]
            same = last.token.kind == phrase.token.kind and phrase.token.kind in ("garment", "part")
            if same:
                phrase = replace(phrase, colors=last.colors, bare=last.bare)
        out.append(phrase)
    return out


def _being(phrase: _Phrase, layer: _Layer, firmness: float, priority: float) -> None:
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
    _dress(_tokens(words), layer, 0.6 * firmness, priority - 60)


def _part(phrase: _Phrase, layer: _Layer, skin: Paint, firmness: float, priority: float) -> None:
    slots = lexicon.BODY_PARTS[phrase.token.text]
    if phrase.token.text == "skin":
        if phrase.colors:
            # Skin shows where nothing is worn: it is asked for everywhere, and clothes paint over it. Hair stays.
            unusual = skin[0][0] not in lexicon.SKIN_TONES.values()
            bare = [s for s in slots if s not in ("hair",)] if not unusual else list(slots)
            shown = bare if unusual else [s for s in bare if s in ("face", "beard", "neck", "hands")]
            layer.put(shown, skin, firmness, priority - 40)
    elif phrase.colors:
        layer.put(slots, _paint(phrase.colors), firmness, priority + 5)
    elif phrase.bare:
        layer.put(slots, skin, firmness, priority + 5)


def _special(phrase: _Phrase, layer: _Layer, skin: Paint, firmness: float, priority: float) -> None:
    match phrase.token.text:
        case "bald":
            layer.put(("hair",), skin, firmness, priority - 5)
        case "shirtless":
            layer.put((*lexicon.BODY_PARTS["torso"], "upper_arms", "forearms"), skin, firmness, priority - 5)
        case "barefoot":
            layer.put(("feet",), skin, firmness, priority - 5)


def _wear(phrase: _Phrase, layer: _Layer, skin: Paint, over: set[str], firmness: float, priority: float) -> None:
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


def _length(garment: Garment, phrase: _Phrase) -> tuple[str, ...]:
    """Covered slots after words such as "long" or "sleeveless"."""
    covers = garment.covers
    if "long" in phrase.words and "thighs" in covers and "chest" in covers:
        covers = (*covers, *(s for s in ("shins", "ankles") if s not in covers))
    if "sleeveless" in phrase.words:
        covers = tuple(s for s in covers if s not in ("upper_arms", "forearms"))
    return covers


def _all_over(tokens: Sequence[_Token], layer: _Layer, firmness: float, priority: float, worn: bool) -> None:
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


def _traits(text: str, unknown: Unknown | None = None) -> dict[str, float]:
    words = _words(text)
    out: dict[str, float] = {}
    for at, _, entry in _build(words, unknown):
        strength = lexicon.STRENGTHS.get(words[at - 1], 1.0) if at else 1.0
        weak = 0.45 if entry in _GENDERED else 1.0
        for trait, value in lexicon.SHAPE_WORDS[entry].items():
            share = weak if trait == "gender" else 1.0
            if trait not in out or abs(value * strength * share) > abs(out[trait]):
                out[trait] = value * strength * share
    return out


def _build(words: Sequence[str], unknown: Unknown | None = None) -> list[tuple[int, str, str]]:
    """Words for a person's build: where they begin, the words themselves, the lexicon's entry for them."""
    found, at = [], 0
    open_ = {place[0] for place, token in _placed(words) if token.kind == "word"} if unknown else set[int]()
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
    if _is_known(words[at]):
        return ""
    before, follows = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
    roles: tuple[str, ...] = ("adjective", "noun")
    if follows in _PERSON or follows in _GENDERED:
        roles = ("adjective",)
    elif before in _ARTICLES and (follows in _JOINERS or follows in _BREAKS or not follows):
        roles = ("noun",)
    found = (unknown(words[at], role) for role in roles)
    return next((f[1] for f in found if f and f[1] in lexicon.SHAPE_WORDS), "")


def build_words(text: str, besides: str = "", unknown: Unknown | None = None) -> str:
    """The words of a description that name a person's build: "a fat old man in red" -> "fat old man"; "" if none.

    Words that bear on a trait which `besides` names already are left out.
    """
    taken = set(_traits(clean(besides), unknown))
    words = _words(clean(text))
    kept = []
    for at, phrase, entry in _build(words, unknown):
        if not taken & set(lexicon.SHAPE_WORDS[entry]) and phrase not in kept:
            if at and words[at - 1] in lexicon.STRENGTHS:
                kept.append(words[at - 1])
            kept.append(phrase)
    return " ".join(kept)


_GENDERED = frozenset({"man", "woman", "guy", "lady", "men", "women"})


def _describes_a_thing(words: Sequence[str], after: int, phrase: str, unknown: Unknown | None) -> bool:
    """Whether a size word belongs to hair, a coat or the like: "short hair", "a heavy coat"."""
    if phrase in ("long legs", "short legs"):
        return False
    for word in words[after : after + 4]:
        if word in _JOINERS or word in _BREAKS or word in ("man", "woman", "person", "boy", "girl"):
            return False
        kind = _lookup([word])
        if kind is None and unknown and _plain(word).kind == "word" and not _is_known(word):
            kind = unknown(word, "noun")
        if kind and kind[0] in ("garment", "part"):
            return True
    return False


def _describes_a_deed(words: Sequence[str], at: int, after: int) -> bool:
    """Whether a size word is a verb or stands behind one, and before nobody: "squat down", "land low"."""
    somebody = after < len(words) and (words[after] in _GENDERED or words[after] in _PERSON)
    if somebody:
        return False
    return _acts(" ".join(words[:at])) if at else after < len(words) and _verb_first(words[0])


def _verb_first(text: str) -> bool:
    first = _SUBJECT.sub("", text).partition(" ")[0]
    return stem(first) in _DEED_STEMS or (stem(first) in _ACTION_STEMS and first not in _NO_ACTIONS)


def _acts(text: str) -> bool:
    if re.search(r"\bg[eo]t(?:s|ting)? up\b", text) or _verb_first(text):
        return True
    return any(stem(word) in _ACTION_STEMS and word not in _NO_ACTIONS for word in _words(text))


_SUBJECT = re.compile(
    r"^(?:an? |the )?(?:rendered 3d )?(?:person|man|woman|someone|somebody|figure|character|he|she|they)?"
    r"(?: who)?(?: is)?(?: |$)"
)
_DEED_STEMS = frozenset(stem(word) for word in lexicon.DEEDS)
_SOMEONE = frozenset(("person", "someone", "somebody", "he", "she", "they", "who"))


def _action_text(text: str, unknown: Unknown) -> str:
    """`text` with the verbs that `unknown` knows in words of the lexicon; "" if there is none.

    Only where a verb can stand: first, as a participle that describes nothing, or after someone.
    """
    words, found = _words(text), False
    places = [place for place, _ in _placed(words)]
    tokens = _tokens(text, unknown)
    for i, token in enumerate(tokens):
        if token.kind != "word" or _is_known(token.text):
            continue
        before, after = tokens[i - 1] if i else None, tokens[i + 1] if i + 1 < len(tokens) else None
        describes = after is not None and (after.kind in _THINGS or after.text in _SOMEONE)
        someone = before is not None and (
            before.kind in ("outfit", "being") or before.text in _SOMEONE or before.text in _GENDERED
        )
        first = i == 0 and (after is None or after.kind in ("article", "break"))
        fits = (token.text.endswith("ing") and not describes) or first or (someone and token.text.endswith("s"))
        verb = unknown(token.text, "verb") if fits else None
        if verb:
            words[places[i][0]], found = verb[1], True
    return " ".join(words) if found else ""


_NO_ACTIONS = frozenset({"lean", "pointed", "robed", "bow", "fit", "boxers", "stretched", "holding", "held"})
