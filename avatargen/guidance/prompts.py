"""What is said to a text-image model: texts are checked once, then worded for each view.

The wordings are data (`STYLES`): web-trained models like the original's "a 3D rendering of ... in unreal engine";
the embedded model learned plain captions, and any phrase around them only dilutes them.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from avatargen.core.errors import ConfigError, InputError

MAX_CHARACTERS = 1000

VIEWS: tuple[str, ...] = ("body", "back", "face", "upper", "lower", "hands", "feet")
"""Names of what a picture may show; `avatargen.guidance.views` has a camera for each."""

_RENDER: dict[str, tuple[str, ...]] = {
    "body": ("a 3D rendering of {} in unreal engine", "a full body render of {}"),
    "back": ("a 3D rendering of the back of {} in unreal engine", "a full body render of {} seen from behind"),
    "face": ("a 3D rendering of the face of {} in unreal engine", "a close-up render of the head of {}"),
    "upper": ("a 3D rendering of the upper body of {} in unreal engine",),
    "lower": ("a 3D rendering of the legs of {} in unreal engine",),
    "hands": ("a 3D rendering of the hands of {} in unreal engine",),
    "feet": ("a 3D rendering of the feet of {} in unreal engine",),
}
_PLAIN: dict[str, tuple[str, ...]] = {
    "body": ("{}",),
    "back": ("the back of {}",),
    "face": ("the face of {}",),
    "upper": ("the upper body of {}",),
    "lower": ("the lower body of {}",),
    "hands": ("the hands of {}",),
    "feet": ("the feet of {}",),
}
_PAINT = {view: tuple(line.replace("{}", "the colors of {}") for line in lines) for view, lines in _PLAIN.items()}
_ORIGINAL = {view: lines[:1] for view, lines in _RENDER.items()}
STYLES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"render": _RENDER, "plain": _PLAIN, "paint": _PAINT, "original": _ORIGINAL}
)
"""Wordings by style and view; "original" is AvatarCLIP's single template per view, "paint" asks the embedded model for
colors alone: what else it sees, build or pose, no paint can change."""

_GREY = ("an untextured grey 3D sculpture of {}", "a 3D rendering of {} in unreal engine")
_CLAY = ("an untextured sculpture of {}",)
TEXTURELESS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"render": _GREY, "plain": _CLAY, "paint": _CLAY, "original": ("a 3D rendering of {} in unreal engine",)}
)
"""Wordings of a full body without its colors."""

_PEOPLE = frozenset(
    [
        "person",
        "man",
        "woman",
        "boy",
        "girl",
        "lady",
        "guy",
        "male",
        "female",
        "child",
        "kid",
        "teenager",
        "adult",
        "senior",
        "human",
        "people",
        "body",
        "bodybuilder",
        "wrestler",
        "dancer",
        "player",
        "athlete",
        "warrior",
        "soldier",
        "giant",
        "dwarf",
        "grandmother",
        "grandfather",
        "model",
        "elder",
    ]
)
_BODY_PARTS = frozenset(
    [
        "shoulders",
        "hips",
        "legs",
        "arms",
        "chest",
        "waist",
        "belly",
        "stomach",
        "torso",
        "hands",
        "feet",
        "neck",
        "head",
        "thighs",
        "build",
        "figure",
        "physique",
        "muscles",
        "breasts",
        "bust",
        "back",
        "butt",
        "bottom",
        "calves",
        "biceps",
        "abs",
        "proportions",
    ]
)


def check_text(text: str, what: str = "text") -> str:
    """`text` with its white space tidied.

    Raises:
        InputError: it is empty, longer than 1,000 characters, or holds control characters.
    """
    tidy = re.sub(r"\s+", " ", text).strip()
    if not tidy:
        raise InputError(f"the {what} is empty\n  Say in a few words what you want, or leave it out.")
    if len(tidy) > MAX_CHARACTERS:
        raise InputError(
            f"the {what} has {len(tidy):,} characters; at most {MAX_CHARACTERS:,} are allowed\n"
            f"  A text-image model reads about 70 words: keep what can be seen."
        )
    for place, character in enumerate(tidy):
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InputError(
                f"the {what} holds the control character U+{ord(character):04X} at position {place + 1}\n"
                f"  Type the text anew; copying from some programs adds invisible characters."
            )
    return tidy


def style_for(guidance_name: str) -> str:
    """The style of wording that suits a model: plain captions for the embedded one, renders for all others."""
    return "plain" if guidance_name.startswith("embedded") else "render"


def read_templates(lines: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Wordings of one's own by view, from lines like "face: a photograph of the face of {}"; words without {} stand.

    Raises:
        ConfigError: a line names no view, or says nothing.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        view, colon, words = (part.strip() for part in line.partition(":"))
        if view not in VIEWS or not colon or not words:
            raise ConfigError(
                f"implicit.pictures.templates: {line!r} does not say for which view it is\n"
                f'  Write "face: a photograph of the face of {{}}"; the views are {", ".join(VIEWS)}.'
            )
        found[view] = (*found.get(view, ()), words)
    return found


def wordings(
    text: str,
    view: str = "body",
    style: str = "render",
    *,
    textureless: bool = False,
    templates: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Ways to say that a picture of kind `view` shows `text`; average their features.

    `templates` (see `read_templates`) come before the style's own words, for pictures without color too.

    Raises:
        InputError: the text cannot be used (see `check_text`), or view or style is unknown.
    """
    tidy = check_text(text)
    if style not in STYLES:
        raise InputError(f"unknown wording style {style!r}; there are {', '.join(STYLES)}")
    if view not in STYLES[style]:
        raise InputError(f"unknown view {view!r}; there are {', '.join(VIEWS)}")
    lines = templates.get(view) or (TEXTURELESS[style] if textureless and view == "body" else STYLES[style][view])
    return tuple(line.replace("{}", tidy.replace("{", "(").replace("}", ")")) for line in lines)


def person_phrase(text: str) -> str:
    """A noun phrase for a body's description: "tall" -> "a tall person", "long legs" -> "a person with long legs"."""
    tidy = check_text(text).rstrip(".!")
    words = [word.strip(",;").lower() for word in tidy.split()]
    if any(word in _PEOPLE for word in words):
        return tidy if words[0] in ("a", "an", "the", "one") else f"{_article(words[0])} {tidy}"
    if words[-1] in _BODY_PARTS:
        return f"a person {tidy}" if words[0] == "with" else f"a person with {tidy}"
    if words[0] in ("a", "an", "the"):
        return tidy
    return f"{_article(words[0])} {tidy} person"


def with_build(shape: str | None, build: str) -> str | None:
    """A shape text and further words for a build in one: "tall", "old man" -> "tall old man"."""
    if not shape or not build:
        return shape or build or None
    ends = shape.rstrip(".!").split()[-1].lower()
    if ends in _BODY_PARTS:
        return f"{build} with {shape.removeprefix('with ')}"
    return f"{shape}, {build}" if ends in _PEOPLE else f"{shape} {build}"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"
