"""The regions of a person whose colors the embedded model tells apart, and the body traits it measures.

A slot is a region that a garment or a word can name. The order is part of the weights' meaning.
"""

SLOTS: tuple[str, ...] = (
    "hair",
    "face",
    "eyes",
    "lips",
    "beard",
    "neck",
    "chest",
    "shirt_front",
    "belly",
    "back",
    "belt",
    "pelvis",
    "upper_arms",
    "forearms",
    "hands",
    "thighs",
    "shins",
    "ankles",
    "feet",
)
"""`eyes` holds the brows too; `beard` is the lower face, bearded or not; `shirt_front` is the strip between lapels;
`back` is the torso seen from behind, where a cape hangs; `ankles` is what boots cover and low shoes do not."""

SLOT_ID: dict[str, int] = {name: index for index, name in enumerate(SLOTS)}

BACKGROUND = len(SLOTS)
"""Label of pixels that show no person."""

TRAITS: tuple[str, ...] = (
    "height",
    "girth",
    "muscle",
    "gender",
    "age",
    "shoulders",
    "legs",
    "hips",
    "waist",
    "head",
)
"""Standardised over the body's population: height; girth (volume over height cubed); muscle; gender (positive is
female); age; shoulder width, leg length, hip girth and waist girth and head height over body height."""

TRAIT_ID: dict[str, int] = {name: index for index, name in enumerate(TRAITS)}
