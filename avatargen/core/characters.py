"""Names to visual words: `confs/characters.conf` and a user's own file of the same layout.

The embedded guidance cannot know people and characters, so a name is replaced by what it looks like.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from avatargen.core.config import confs_dir, read_tree
from avatargen.core.errors import ConfigError

_ARTICLE = re.compile(r"^(the|a|an)\s+")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the guidance is asked for."""

    text: str
    """The visual words."""
    source: str
    """given | text | characters.conf | the user's file: where the words come from."""
    name: str | None = None
    """The entry that was found, as its file spells it."""


def read_characters(path: Path) -> dict[str, str]:
    """Name -> visual words.

    Raises:
        ConfigError: an entry is not a text.
    """
    tree = read_tree(path)
    for name, words in tree.items():
        if not isinstance(words, str) or not words.strip():
            raise ConfigError(f"{path}: entry {name!r} must be a text in quotes")
    return {name: words.strip() for name, words in tree.items()}


@cache
def _shipped() -> dict[str, str]:
    return read_characters(confs_dir() / "characters.conf")


def _key(name: str) -> str:
    return _ARTICLE.sub("", " ".join(name.casefold().split()))


def _find(text: str, characters: Mapping[str, str]) -> tuple[str, str] | None:
    """The entry that `text` is, or the longest one it contains as whole words, and the description made from it."""
    plain = _key(text)
    keys = {_key(name): name for name in characters}
    if plain in keys:
        return keys[plain], characters[keys[plain]]
    for key in sorted(keys, key=len, reverse=True):
        # Inside a longer text only names count: 'a king in a blue coat' is already a description.
        if not keys[key][:1].isupper():
            continue
        match = re.search(rf"(?<!\w)(?:the\s+)?{re.escape(key)}(?!\w)", plain)
        if match:
            return keys[key], f"{plain[: match.start()]}{characters[keys[key]]}{plain[match.end() :]}".strip()
    return None


def describe(text: str, *, given: str | None = None, own: Path | None = None) -> Description:
    """The visual words to guide by.

    Args:
        text: the appearance text, a description or a name.
        given: words of the user's that override everything.
        own: a file of the user's; its entries win over the shipped ones.
    """
    if given is not None:
        return Description(text=given, source="given")
    if own is not None:
        found = _find(text, read_characters(own))
        if found is not None:
            return Description(name=found[0], text=found[1], source=own.name)
    found = _find(text, _shipped())
    if found is not None:
        return Description(name=found[0], text=found[1], source="characters.conf")
    return Description(text=text, source="text")
