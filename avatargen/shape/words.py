"""Says a description of a body in plainer words, for guidance that reads words by a lexicon of its own.

Negations, compounds ("broad-shouldered") and a few idioms; what is not listed stays as it is. Models that learnt
language from the world need none of this and are asked in the user's own words.
"""

import re

_ANTONYMS = {
    "tall": "short", "short": "tall", "big": "small", "small": "big", "large": "small", "little": "big",
    "fat": "thin", "heavy": "thin", "overweight": "thin", "chubby": "thin", "thin": "chubby", "skinny": "chubby",
    "slim": "chubby", "slender": "chubby", "strong": "weak", "muscular": "weak", "athletic": "weak", "weak": "strong",
    "old": "young", "young": "old",
}  # fmt: skip
_NOT = re.compile(
    rf"\bnot (?:at all |very |too |so |that |all that |particularly |especially |really |exactly )?"
    rf"({'|'.join(_ANTONYMS)})\b"
)
_PARTS = {
    "shouldered": "shoulders", "legged": "legs", "hipped": "hips", "waisted": "waist", "headed": "head",
    "bellied": "belly",
}  # fmt: skip
_COMPOUND = re.compile(rf"\b([a-z]+)[- ]({'|'.join(_PARTS)})\b")
_WIDE = {"wide": "broad", "square": "broad", "thin": "narrow", "slim": "narrow", "slender": "narrow"}
_IDIOMS = (
    (r"lanky|gangly|gangling|rangy|reedy|spindly", "tall and skinny"),
    (r"burly|brawny|beefy|sturdy|robust|barrel-chested", "strong and heavy"),
    (r"podgy|pudgy|tubby|paunchy|fleshy|roly-poly|well-fed|out of shape", "chubby"),
    (r"a dad bod", "a big belly"),
    (r"hefty|chunky|plus[- ]sized?", "fat"),
    (r"jacked|shredded|swole|sinewy|well-built|chisell?ed|macho", "muscular"),
    (r"in good shape", "athletic"),
    (r"wiry", "thin and strong"),
    (r"puny", "short and weak"),
    (r"diminutive|pint-sized|undersized|vertically challenged|knee-high|elfin", "short"),
    (r"colossal|statuesque", "tall"),
    (r"stringy|svelte|trim|delicate|waif-like|stick-thin|starving|malnourished|undernourished", "thin"),
    (r"voluptuous", "curvy"),
    (r"geriatric", "old"),
    (r"octogenarian|old-timer|retiree", "old person"),
    (r"youngster|youth", "teenager"),
    (r"bouncer|linebacker|weightlifter|powerlifter|viking", "strong and heavy man"),
    (r"swimmer|sprinter", "athletic person"),
    (r"lumberjack", "strong man"),
    (r"built like an? (?:brick )?(?:tank|house|wall|bull|ox|bear|truck|barn)", "strong and heavy"),
    (r"(?:lifts?|lifting) weights|works? out|pumps? iron|goes to the gym", "muscular"),
    (r"fellow|bloke|chap|lad", "man"),
    (r"lass|gal", "girl"),
)
_IDIOM = tuple((re.compile(rf"\b(?:{pattern})\b"), plain) for pattern, plain in _IDIOMS)


def plain_words(text: str) -> str:
    """`text` with negations turned into mild opposites, compounds taken apart and idioms put plainly."""
    said = text.lower()
    said = _NOT.sub(lambda found: f"slightly {_ANTONYMS[found[1]]}", said)
    parts = [f"{_wide(found[1], found[2])} {_PARTS[found[2]]}" for found in _COMPOUND.finditer(said)]
    if parts:
        rest = re.sub(r"\b(an?|the)\s*,", r"\1", " ".join(_COMPOUND.sub("", said).split()))
        said = f"{rest} with {' and '.join(parts)}" if rest not in ("", "a", "an") else " and ".join(parts)
    for pattern, plain in _IDIOM:
        said = pattern.sub(plain, said)
    return said if said != text.lower() else text


def _wide(word: str, part: str) -> str:
    return _WIDE.get(word, word) if part in ("shouldered", "hipped") else word
