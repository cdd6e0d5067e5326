"""Color words, what they mean of skin and of hair, and shades."""

from collections.abc import Mapping
from types import MappingProxyType

Rgb = tuple[int, int, int]


def _hex(text: str) -> Mapping[str, Rgb]:
    out: dict[str, Rgb] = {}
    for line in text.strip().splitlines():
        for entry in line.split(","):
            name, _, code = entry.strip().rpartition(" ")
            out[name] = (int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16))
    return MappingProxyType(out)


COLORS: Mapping[str, Rgb] = _hex("""
red d81414, crimson b80f2e, scarlet e02410, cherry c2103a, ruby b01040, maroon 6e0f1c, burgundy 6b1028
wine 641830, brick 9c3a26, blue 1a48d0, navy 101c50, navy blue 101c50, royal blue 2048c8, cobalt 1446b0
azure 2f8fe8, sky blue 78bef0, sapphire 1040b0, indigo 3a2090, denim 3c5c94, midnight blue 141a4c
cornflower 6090e8, steel blue 4678a8, electric blue 2068ff, baby blue a0d0f0, green 128a2c, lime 80d820
olive 6c6c20, olive green 6c6c20, emerald 0c9050, forest green 1c5c28, mint 98e0b8, khaki green 70703c
jade 14a070, sea green 2e8b57, camouflage 58603c, camo 58603c, army green 4a5228, moss 6a7838, chartreuse a0e020
neon green 50f020, yellow f8d810, lemon f8ec40, mustard d0a018, amber f0a810, golden d8a820, gold d8a820
golden yellow f0c010, straw e0cc70, orange f07810, tangerine f08420, apricot f0b080, peach f4b898, rust a84818
copper b06a3c, bronze 94682c, coral f07858, salmon f08870, purple 7018a0, violet 7c30c0, lilac c0a0d8
lavender b8a4e0, plum 703068, mauve b080a8, magenta d01890, fuchsia e020a0, pink f070a8, hot pink f03890
rose e07090, blush f0b0b8, bubblegum f488b8, fleshy pink e8a898, brown 6c4020, chocolate 4c2c18, tan c89868
beige dcc8a0, camel c09458, khaki b0a070, sand d8c090, chestnut 783820, auburn 7c2c18, mahogany 60281c
caramel b87434, coffee 50341f, hazel 846030, ginger c05c20, sienna 9c5028, umber 60452c, taupe 8c7c6c
leather 6c4428, black 101012, jet black 08080a, ebony 18161a, charcoal 34363a, onyx 121214, raven 101014
white f6f6f6, ivory f4f0dc, cream f2e8c8, pearl ece8e0, snow f8f8fa, off-white efece0, bone e8e0cc
platinum e4e2dc, grey 808080, gray 808080, silver b8bcc4, ash b0b0a8, slate 586470, gunmetal 404850
steel 98a0a8, metallic a0a6ae, chrome c4c8d0, teal 108888, turquoise 28c0c0, cyan 20c8e0, aqua 40d0d8
aquamarine 60d8b8, petrol 14586c, blond e0c078, blonde e0c078, fair e0c078, strawberry blond d89860
strawberry blonde d89860, dirty blond b08c50, dirty blonde b08c50, brunette 4c3020, redhead b04018
""")
"""sRGB of color words; the metals are given the color they have in even light."""

SHADES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "dark": (0.5, 0.0),
        "deep": (0.62, 0.0),
        "light": (0.95, 0.42),
        "pale": (0.97, 0.52),
        "pastel": (0.97, 0.5),
        "bright": (1.12, 0.0),
        "vivid": (1.1, 0.0),
        "neon": (1.15, 0.05),
    }
)
"""Words before a color: (factor, share of white mixed in)."""

SKIN_TONES: Mapping[str, Rgb] = _hex("""
pale f0d0be, fair ecc8b4, light e4b89e, white e4b89e, olive c09a70, tan c08a64, tanned c08a64, medium b8845e
asian dcb08c, brown 8c5c3c, dark 5c3a28, black 50321f, dark brown 54341f, light brown a87650
""")
"""What color words mean before "skin"; other colors mean themselves."""
HAIR_COLORS: Mapping[str, Rgb] = _hex("""
red ac4a20, dark red 74281a, deep red 7c2c18, light red cc7844, pale red d89860, black 1b1613, brown 5c3c26
dark brown 36241a, light brown 8c6642, dark blond a07c46, dark blonde a07c46, gold d8ac58, white e8e4dc, grey 8e8b86
light grey b4b1ab, dark grey 55524f, dark 2e2018, light c8a468
""")
"""The same before hair and beards that grew: nobody is born with signal red hair. Bright and dyed ones are."""
PLAIN_SKIN: tuple[Rgb, ...] = ((240, 208, 190), (228, 184, 158), (196, 146, 110))
"""Bare skin of unsaid complexion."""
