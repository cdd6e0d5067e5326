"""The words that the embedded model understands, as data: colors, garments, bodies, outfits, shapes, actions.

Add a word by adding a line. Multi-word entries are matched before their parts; plurals in -s are tried by themselves.
"""

from avatargen.guidance.embedded.lexicon.actions import ACTION_SYNONYMS, ACTION_WORDS, DEEDS
from avatargen.guidance.embedded.lexicon.colors import COLORS, HAIR_COLORS, PLAIN_SKIN, SHADES, SKIN_TONES, Rgb
from avatargen.guidance.embedded.lexicon.garments import BODY_PARTS, GARMENTS, Garment
from avatargen.guidance.embedded.lexicon.people import BEINGS, OUTFITS, SHAPE_WORDS, STRENGTHS

__all__ = [
    "ACTION_SYNONYMS", "ACTION_WORDS", "BEINGS", "BODY_PARTS", "COLORS", "DEEDS", "GARMENTS", "HAIR_COLORS", "OUTFITS",
    "PLAIN_SKIN", "SHADES", "SHAPE_WORDS", "SKIN_TONES", "STRENGTHS", "Garment", "Rgb",
]  # fmt: skip
