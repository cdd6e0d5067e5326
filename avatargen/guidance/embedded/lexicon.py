"""The words that the embedded model understands, as data: colors, garments, bodies, outfits, shapes, actions.

Add a word by adding a line. Multi-word entries are matched before their parts; plurals in -s are tried by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
dirty blond b08c50, brunette 4c3020, redhead b04018
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

_TORSO = ("chest", "shirt_front", "belly", "back", "belt")
_ARMS = ("upper_arms", "forearms")
_LEGS = ("thighs", "shins", "ankles")
_ALL = (*_TORSO, *_ARMS, "pelvis", *_LEGS)


@dataclass(frozen=True)
class Garment:
    """What something worn covers."""

    covers: tuple[str, ...]
    layer: int = 1
    """0 under, 1 usual, 2 open on top (what is under it shows in front), 3 put on last."""
    color: str = ""
    """Color it has if none is said; empty: none to be assumed."""
    peeks: tuple[str, ...] = ("shirt_front",)
    """What still shows of it under something of a higher layer."""


def _garments(entries: Mapping[str, Garment]) -> Mapping[str, Garment]:
    return MappingProxyType({name.strip(): g for names, g in entries.items() for name in names.split(",")})


_SHIRT = (*_TORSO, *_ARMS)
GARMENTS: Mapping[str, Garment] = _garments(
    {
        "shirt,blouse,dress shirt,button shirt,long-sleeved shirt,long sleeve shirt,flannel": Garment(_SHIRT, 0),
        "t-shirt,tshirt,tee,polo,polo shirt,short-sleeved shirt,short sleeve shirt": Garment(
            (*_TORSO, "upper_arms"), 0
        ),
        "jersey,football jersey,soccer jersey,sports shirt,scrubs top": Garment((*_TORSO, "upper_arms"), 1),
        (
            "basketball jersey,tank top,tanktop,vest top,sleeveless shirt,sleeveless top,singlet,"
            "undershirt,sleeveless sweater"
        ): (Garment(_TORSO, 1)),
        "top,bodice": Garment(("chest", "shirt_front", "belly", "back"), 1),
        "crop top,bra,bikini top,sports bra": Garment(("chest", "shirt_front"), 1),
        "sweater,jumper,pullover,sweatshirt,hoodie,turtleneck,cardigan,jersey sweater,fleece": Garment(_SHIRT, 1),
        (
            "jacket,blazer,coat,leather jacket,denim jacket,bomber jacket,tailcoat,suit jacket,parka,chinese jacket"
        ): Garment((*_SHIRT,), 2),
        "long coat,trench coat,overcoat,lab coat,raincoat,duster": Garment((*_SHIRT, "pelvis", "thighs"), 2),
        "white coat": Garment((*_SHIRT, "pelvis", "thighs"), 2, "white"),
        "vest,waistcoat,harness": Garment(_TORSO, 2),
        "bulletproof vest,life vest,safety vest": Garment(_TORSO, 2),
        "hi-vis vest,high-visibility vest,reflective vest": Garment(_TORSO, 2, "neon green"),
        "suit,business suit,tight suit,three-piece suit": Garment(_ALL, 2),
        "tuxedo": Garment(_ALL, 2, "black"),
        (
            "jumpsuit,bodysuit,catsuit,boiler suit,coverall,coveralls,wetsuit,superhero suit,"
            "spandex,onesie,flight suit,racing suit"
        ): (Garment((*_ALL, "neck"), 1)),
        "space suit,spacesuit,biohazard suit,hazmat suit,protective suit": Garment((*_ALL, "neck", "hands", "feet"), 1),
        "tracksuit,sweatsuit,outfit,clothes,clothing,costume,uniform,pyjamas,pajamas,attire,garb": Garment(_ALL, 1),
        "sleeveless suit": Garment((*_TORSO, "pelvis", *_LEGS), 1),
        "armour,armor,plate armour,plate armor,metal armour,chain mail,chainmail,mail": Garment(
            (*_ALL, "neck", "feet"), 1, "silver"
        ),
        "breastplate,chest plate,cuirass": Garment(_TORSO, 2, "silver"),
        "exoskeleton,plating": Garment((*_ALL, "neck", "hands", "feet"), 1),
        "dress,gown": Garment((*_TORSO, "pelvis", "thighs"), 1),
        "long dress,wedding dress,evening gown,ball gown,long gown,long robe": Garment((*_TORSO, "pelvis", *_LEGS), 1),
        "wedding gown,bridal gown": Garment((*_TORSO, "pelvis", *_LEGS), 1, "white"),
        "robe,kimono,tunic dress,cassock,habit,toga,kaftan,cloak,hanfu,bathrobe": Garment(
            (*_SHIRT, "pelvis", *_LEGS), 1
        ),
        "tunic": Garment((*_TORSO, "upper_arms", "pelvis"), 1),
        "gi,karate suit,judo suit": Garment(_ALL, 1, "white"),
        "skirt,miniskirt,kilt": Garment(("pelvis", "thighs"), 1),
        "long skirt": Garment(("pelvis", *_LEGS), 1),
        "tutu": Garment(("pelvis",), 1, "pink"),
        "trousers,pants,slacks,breeches,baggy trousers,sweatpants,trouser,leggings,tights,cargo pants": Garment(
            ("pelvis", *_LEGS), 1
        ),
        "jeans,blue jeans": Garment(("pelvis", *_LEGS), 1, "denim"),
        "overalls,dungarees,overall": Garment(("pelvis", *_LEGS, "belly", "belt", "shirt_front"), 2, "denim"),
        "shorts,boxing shorts": Garment(("pelvis", "thighs"), 1),
        "swimming trunks,trunks,underwear,briefs,boxers,loincloth,underpants,speedo,bikini bottom,panties": Garment(
            ("pelvis",), 3
        ),
        "swimsuit,bathing suit,leotard,one-piece": Garment((*_TORSO, "pelvis"), 1),
        "bikini": Garment(("chest", "shirt_front", "pelvis"), 1),
        "gloves,glove,boxing gloves,mittens,gauntlets,fists": Garment(("hands",), 3),
        "long gloves": Garment(("hands", "forearms"), 3),
        "wrist bands,wristbands,bracers,vambraces,arm guards,bandages": Garment(("forearms",), 3),
        "sleeves": Garment(_ARMS, 3),
        "boots,boot": Garment(("feet", "ankles"), 3),
        "knee-high boots,long boots,high boots,riding boots,thigh boots": Garment(("feet", "ankles", "shins"), 3),
        "shoes,shoe,sneakers,trainers,loafers,heels,high heels,slippers,sandals,clogs,flip-flops,cleats": Garment(
            ("feet",), 3
        ),
        "socks,stockings,knee socks,shin guards,greaves": Garment(("ankles", "shins"), 2, "", ("ankles", "shins")),
        "belt,sash,obi": Garment(("belt",), 3),
        "cape,cloak cape,mantle": Garment(("back",), 3),
        "shawl,poncho": Garment(("chest", "back", "upper_arms"), 3),
        "backpack,rucksack,wings,quiver,jetpack,shell": Garment(("back",), 3),
        "apron": Garment(("shirt_front", "belly", "pelvis"), 3, "white"),
        "tie,necktie": Garment(("shirt_front",), 3),
        "bow tie,scarf,collar,necklace,choker,bandanna,neckerchief,ruff": Garment(("neck",), 3),
        (
            "hat,cap,beanie,top hat,bowler hat,pointed hat,witch hat,wizard hat,cowboy hat,"
            "baseball cap,beret,turban,bandana,headscarf"
        ): (Garment(("hair",), 3)),
        "straw hat": Garment(("hair",), 3, "straw"),
        "chef hat,chef's hat,toque,nurse cap": Garment(("hair",), 3, "white"),
        "crown,tiara": Garment(("hair",), 3, "gold"),
        "hard hat,construction helmet": Garment(("hair",), 3, "yellow"),
        "helmet,hood,winged helmet,hijab,veil,headdress,wig": Garment(("hair",), 3),
        "mask,face mask,balaclava,face paint,visor": Garment(("face", "beard"), 3),
        (
            "hair,hairstyle,haircut,braid,braids,braided hair,ponytail,pigtails,bun,buns,curls,"
            "dreadlocks,afro,mohawk,fringe,locks"
        ): (Garment(("hair",), 2, "", ())),
        "blond,blonde,brunette,redhead": Garment(("hair",), 2, "", ()),
        "beard,goatee,stubble,chin beard,whiskers": Garment(("beard",), 3, "chestnut"),
        "moustache,mustache": Garment((), 3),
        "glasses,sunglasses,goggles,spectacles,eye patch,eyepatch,horns,ears,tail,tattoo,tattoos": Garment((), 3),
    }
)

_WHOLE = (
    "hair", "face", "beard", "neck", *_TORSO, *_ARMS, "hands", "pelvis", *_LEGS, "feet",
)  # fmt: skip
BODY_PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name.strip(): slots
        for names, slots in {
            "skin,fur,scales,bark,body": _WHOLE,
            "head": ("hair", "face", "beard"),
            "scalp": ("hair",),
            "face": ("face", "beard"),
            "eyes,eye,eyebrows,brows": ("eyes",),
            "lips,mouth,lipstick": ("lips",),
            "chin,jaw": ("beard",),
            "neck": ("neck",),
            "chest,breast": ("chest", "shirt_front"),
            "torso,upper body,body suit top": _TORSO,
            "belly,stomach,abdomen,midriff": ("belly", "belt"),
            "back": ("back",),
            "waist": ("belt",),
            "hips,pelvis,crotch,buttocks": ("pelvis",),
            "sides": (),
            "shoulders,upper arms,biceps": ("upper_arms",),
            "arms,arm": _ARMS,
            "forearms,forearm,wrists": ("forearms",),
            "hands,hand,fingers,claws,paws": ("hands",),
            "thighs,thigh,knees,upper legs": ("thighs",),
            "legs,leg": _LEGS,
            "shins,calves,lower legs": ("shins", "ankles"),
            "ankles": ("ankles",),
            "feet,foot,toes,hooves": ("feet",),
        }.items()
        for name in names.split(",")
    }
)
"""Parts that can be named by themselves ("gold thighs", "bare arms")."""

SKIN_TONES: Mapping[str, Rgb] = _hex("""
pale f0d0be, fair ecc8b4, light e4b89e, white e4b89e, olive c09a70, tan c08a64, tanned c08a64, medium b8845e
asian dcb08c, brown 8c5c3c, dark 5c3a28, black 50321f, dark brown 54341f, light brown a87650
""")
"""What color words mean before "skin"; other colors mean themselves."""
PLAIN_SKIN: tuple[Rgb, ...] = ((240, 208, 190), (228, 184, 158), (196, 146, 110))
"""Bare skin of unsaid complexion."""

BEINGS: Mapping[str, str] = MappingProxyType(
    {
        "zombie": "skin of grey green, a torn grey shirt, dark brown trousers",
        "alien": "skin of green",
        "robot": "skin of silver",
        "android": "skin of silver",
        "cyborg": "skin of silver",
        "marble statue": "skin of pearl",
        "statue": "skin of ash",
        "bronze statue": "skin of bronze",
        "stone statue": "skin of grey",
        "sculpture": "skin of ash",
        "gorilla": "skin of charcoal",
        "skeleton": "skin of bone",
        "ghost": "skin of white",
        "orc": "skin of moss, a brown loincloth",
        "goblin": "skin of olive",
        "troll": "skin of moss",
        "ogre": "skin of moss, a brown tunic",
        "demon": "skin of crimson",
        "devil": "skin of red",
        "vampire": "skin of pale, a black suit, a white shirt, a black cape",
        "mummy": "skin of beige",
        "snowman": "skin of white",
        "gingerbread man": "skin of caramel",
        "smurf": "skin of azure, white trousers",
        "werewolf": "skin of umber",
        "bear": "skin of brown",
        "mannequin": "skin of beige",
        "golem": "skin of grey",
        "elf": "green tunic, brown boots",
        "mermaid": "green long skirt",
    }
)
"""Beings by what their whole surface looks like, in words that the reader knows; a color before them replaces it."""

OUTFITS: Mapping[str, str] = MappingProxyType(
    {
        "firefighter": "a mustard yellow coat, mustard yellow trousers, black boots, black gloves, a red helmet",
        "fireman": "a mustard yellow coat, mustard yellow trousers, black boots, black gloves, a red helmet",
        "knight": "silver armour, silver gloves, silver boots, a silver helmet",
        "police officer": "a navy uniform, a navy cap, a black belt, black shoes",
        "policeman": "a navy uniform, a navy cap, a black belt, black shoes",
        "cop": "a navy uniform, a navy cap, a black belt, black shoes",
        "security guard": "a navy uniform, a black belt, a black cap, black shoes",
        "doctor": "a white lab coat, a light blue shirt, grey trousers, black shoes",
        "nurse": "a light blue uniform, white shoes, a white nurse cap",
        "surgeon": "a teal uniform, a teal cap, a light blue mask",
        "scientist": "a white lab coat, a light blue shirt, grey trousers, black shoes",
        "researcher": "a white lab coat, a blue shirt, grey trousers, black shoes",
        "professor": "a brown jacket, a white shirt, a red tie, grey trousers, brown shoes",
        "teacher": "a green sweater, a white shirt, brown trousers, brown shoes",
        "chef": "a white jacket, a white chef hat, a white apron, grey trousers, black shoes",
        "cook": "a white jacket, a white chef hat, a white apron, grey trousers, black shoes",
        "waiter": "a white shirt, a black vest, a black bow tie, black trousers, black shoes",
        "butler": "a black suit, a white shirt, a black tie, white gloves, black shoes",
        "astronaut": "a white space suit, white helmet",
        "soldier": "a army green uniform, a army green helmet, black boots, a brown belt",
        "pilot": "a navy uniform, a white shirt, a black tie, a navy cap, black shoes",
        "sailor": "a white uniform, a navy scarf, a white cap, black shoes",
        "pirate": "a white shirt, a red sash, brown trousers, black boots, a black hat",
        "wizard": "a purple robe, a purple pointed hat, brown shoes",
        "witch": "a black robe, a black pointed hat, black shoes",
        "ninja": "a black jumpsuit, a black mask, a black hood, black gloves, black boots",
        "samurai": "crimson armour, a black helmet, black gloves",
        "boxer": "bare chest, bare arms, red boxing gloves, black shorts, black boots",
        "wrestler": "bare chest, bare arms, red underwear, black boots",
        "cowboy": "a brown vest, a beige shirt, jeans, brown boots, a brown cowboy hat",
        "bride": "a white wedding gown, white shoes, a white veil",
        "groom": "a black tuxedo, a white shirt, a black bow tie, black shoes",
        "king": "a crimson robe, a white collar, a gold crown, a gold belt",
        "queen": "a long purple dress, a gold crown, gold necklace",
        "prince": "a royal blue jacket, a gold belt, white trousers, black boots, a gold crown",
        "princess": "a long pink dress, a gold tiara, pink shoes",
        "emperor": "a long golden yellow robe, a red belt, a black hat",
        "pope": "a white robe, a white cap, red shoes",
        "priest": "a black robe, a white collar, black shoes",
        "monk": "an orange robe, brown sandals, bald",
        "nun": "a black robe, a black veil, a white collar, black shoes",
        "superhero": "a blue jumpsuit, a red cape, red boots",
        "businessman": "a dark grey suit, a white shirt, a red tie, black shoes",
        "businesswoman": "a dark grey suit, a white shirt, black shoes",
        "lawyer": "a navy suit, a white shirt, a red tie, black shoes",
        "accountant": "a grey suit, a white shirt, a blue tie, black shoes",
        "manager": "a dark grey suit, a white shirt, a blue tie, black shoes",
        "gentleman": "a black suit, a white shirt, a black bow tie, a black top hat, black shoes",
        "construction worker": "a orange safety vest, a blue shirt, jeans, a yellow helmet, brown boots",
        "builder": "a orange safety vest, a blue shirt, jeans, a yellow helmet, brown boots",
        "mechanic": "a blue jumpsuit, black gloves, black boots",
        "farmer": "a red shirt, denim overalls, brown boots, a straw hat",
        "gardener": "a light green shirt, green overalls, brown boots, a straw hat",
        "cleaner": "a light blue uniform, yellow gloves, white shoes",
        "swimmer": "a blue swimsuit, bare arms, bare legs, bare feet",
        "diver": "a black wetsuit, black gloves, yellow mask",
        "football player": "a red jersey, white shorts, red socks, black shoes",
        "soccer player": "a red jersey, white shorts, red socks, black shoes",
        "basketball player": "a orange basketball jersey, orange shorts, white shoes, bare arms",
        "tennis player": "a white polo, white shorts, white socks, white shoes",
        "hockey player": "a blue jersey, long-sleeved shirt, navy trousers, brown gloves, blue helmet",
        "cyclist": "a yellow jersey, black shorts, white helmet, black gloves, white shoes",
        "jockey": "a pink shirt, white trousers, black long boots, a pink helmet",
        "racing driver": "a red racing suit, a red helmet, black gloves, black shoes",
        "karate fighter": "a white gi, a black belt, bare feet",
        "ballerina": "a pink leotard, a pink tutu, pink tights, pink shoes",
        "clown": "a yellow shirt, red trousers, white gloves, red shoes, orange hair, a white face, red lips",
        "santa claus": "a red coat, red trousers, a black belt, black boots, a red hat, a white beard, white gloves",
        "santa": "a red coat, red trousers, a black belt, black boots, a red hat, a white beard, white gloves",
        "jedi": "a light brown robe, a brown belt, brown boots",
        "viking": "a brown tunic, brown trousers, brown boots, a silver helmet, a ginger beard",
        "gladiator": "a brown skirt, a bronze breastplate, a bronze helmet, brown sandals",
        "warrior": "a brown tunic, bronze bracers, brown boots",
        "barbarian": "bare chest, bare arms, a brown loincloth, brown boots",
        "hunter": "a brown vest, green shirt, brown trousers, brown boots",
        "ranger": "a green tunic, a green hood, brown trousers, brown boots",
        "thief": "a black sweater, black trousers, a black mask, black gloves",
        "spy": "a black suit, a white shirt, a black tie, black shoes",
        "judge": "a black robe, a white wig, black shoes",
        "graduate": "a black robe, a black cap, black shoes",
        "schoolgirl": "a white blouse, a navy skirt, white socks, black shoes",
        "punk": "a black leather jacket, a red mohawk, black jeans, black boots",
        "rock star": "a black leather jacket, a red t-shirt, black leather trousers, black boots",
        "hippie": "a orange shirt, jeans, brown sandals",
        "jogger": "a neon green t-shirt, black shorts, white shoes",
        "postman": "a blue uniform, a blue cap, black shoes",
        "prisoner": "a orange jumpsuit, white shoes",
        "beekeeper": "a white jumpsuit, white gloves, white veil",
        "geisha": "a red kimono, a gold belt, a white face, black hair, red lips",
    }
)
"""Trades and characters by their usual clothes; whatever a text says itself counts more."""

_SHAPE_ROWS: Mapping[str, Mapping[str, float]] = {
    "tall,lanky,towering,giant,gigantic,huge,high": {"height": 1.6},
    "short,tiny,small,little,dwarf,dwarfish": {"height": -1.6},
    "petite": {"height": -1.5, "girth": -0.6},
    ("fat,obese,overweight,heavy,heavy-set,heavyset,corpulent,plump,chubby,big-bellied,stout,portly,round,rotund"): {
        "girth": 1.7,
        "waist": 0.8,
    },
    "big,large,bulky,massive": {"girth": 1.2, "height": 0.7},
    "thin,skinny,slim,slender,lean,bony,skeletal,scrawny,gaunt,slight,underweight,lanky": {
        "girth": -1.6,
        "waist": -0.5,
    },
    "muscular,muscled,bodybuilder,body builder,buff,brawny,ripped,beefy,strongman": {"muscle": 1.8},
    "strong,powerful,athletic,fit,sporty,athlete,toned": {"muscle": 1.5},
    "weak,frail,feeble,weedy,unathletic": {"muscle": -1.6},
    "woman,female,lady,girl,women,feminine,mother,grandmother,queen,princess,witch,bride,actress,waitress": {
        "gender": 1.5
    },
    "man,male,guy,boy,men,masculine,gentleman,father,grandfather,king,prince,groom,monk": {"gender": -1.5},
    "old,elderly,aged,senior,senior citizen,grandmother,grandfather,ancient,granny,grandpa,elder": {"age": 1.8},
    "young,youthful,teenage,teenager,teen,adolescent,kid,child,boy,girl,student": {"age": -1.5},
    "broad shoulders,wide shoulders,broad-shouldered,broad shoulder": {"shoulders": 1.8},
    "narrow shoulders,sloping shoulders": {"shoulders": -1.8},
    "long legs,long-legged,leggy": {"legs": 1.8},
    "short legs,short-legged,stubby legs": {"legs": -1.8},
    "wide hips,broad hips,curvy,big hips,pear-shaped": {"hips": 1.8},
    "narrow hips,slim hips": {"hips": -1.8},
    "slim waist,narrow waist,hourglass,wasp waist": {"waist": -1.7},
    "big belly,beer belly,pot belly,pot-bellied,large belly,wide waist": {"waist": 1.8, "girth": 0.8},
    "big head,large head": {"head": 1.7},
    "small head": {"head": -1.7},
    "stocky,squat,thickset,stumpy": {"girth": 1.3, "height": -1.1},
    "sumo wrestler,sumo": {"girth": 2.2, "waist": 1.0},
    "ballet dancer,ballerina,runner,marathon runner,fashion model": {"girth": -1.5},
    "basketball player": {"height": 1.6},
    "wrestler,boxer,superhero,warrior,barbarian,gladiator": {"muscle": 1.2},
    "jockey,gymnast": {"height": -1.2, "girth": -0.8},
}


def _by_name(rows: Mapping[str, Mapping[str, float]]) -> Mapping[str, Mapping[str, float]]:
    """Name -> its traits; a name in several rows has those of all."""
    found: dict[str, dict[str, float]] = {}
    for names, values in rows.items():
        for name in names.split(","):
            found.setdefault(name.strip(), {}).update(values)
    return MappingProxyType({name: MappingProxyType(values) for name, values in found.items()})


SHAPE_WORDS = _by_name(_SHAPE_ROWS)
"""Targets of traits in standard deviations (see `slots.TRAITS`)."""

STRENGTHS: Mapping[str, float] = MappingProxyType(
    {
        "very": 1.4,
        "extremely": 1.7,
        "really": 1.4,
        "super": 1.5,
        "quite": 1.0,
        "slightly": 0.5,
        "rather": 0.9,
        "fairly": 0.8,
        "somewhat": 0.6,
        "not": -1.0,
    }
)

_ACTIONS = """
beckon brush comb dribble thumb hammer type sweep golf read weep quarrel discuss shout celebrate seat
walk run jog jump hop leap punch kick wave raise sit squat crouch bend bow dance cartwheel backflip flip
somersault push-up press-up crawl lie sleep get-up throw toss pitch hurl shoot pray argue eat drink cry excite
celebrate nod tire exhaust shiver tremble dizzy block defend swing slash climb meditate stand spin turn box
fight strike hit jab uppercut chop stab thrust fence slice hack cast conjure spell aim draw reload dodge duck
roll flinch stagger fall die collapse sneak creep tiptoe prowl stroll march sprint dash charge strafe sidestep
swim fly float hover levitate stretch reach point clap cheer salute shrug scratch wash shower pick lift carry
pull push kneel rest wait idle rise wake breakdance whirl pirouette waltz karate kata sit-up crunch exercise
jumping-jack jack star-jump skip limp shamble lunge taunt threaten flail rage tantrum dangle hang balance rock
land drop knock bash guard parry interact press touch hold summon play lean look listen breathe bob sway stumble
trip applaud greet hug shake yoga warm-up hail beg surrender victory win celebrate laugh think talk angry sad
happy confuse scare afraid tired bored juggle bowl bat hike trudge plod wander pace step stoop scoop
"""
ACTION_WORDS: frozenset[str] = frozenset(_ACTIONS.split())
"""Stems (see `reader.stem`) of words that say what someone does."""

_DEEDS = """
awaken back be bow call catch clean close come cover cross cut disagree do drum embrace feel fire flick fold freeze
gather give glide groove gulp have hide keep load loose lower lurk make perform plead plop ponder practice practise
put puzzle quiver race reel reject rejoice say scrub search show signal slump soar split stroll strum study take tense
use wheel wield wonder work write
"""
DEEDS: frozenset[str] = frozenset(_DEEDS.split())
"""Verbs that say what someone does only where a text begins with them, or right after the one who does it."""

ACTION_SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "boxing": "punch",
        "throw a punch": "punch",
        "punch": "punch",
        "hit someone": "punch",
        "fight": "punch",
        "box": "punch with both fists",
        "kick a ball": "kick a soccer ball",
        "kick soccer": "kick a soccer ball",
        "kick a football": "kick a soccer ball",
        "play football": "kick a soccer ball",
        "play soccer": "kick a soccer ball",
        "kick": "kick",
        "wave": "wave with",
        "wave the hand": "wave with",
        "say hello": "wave with",
        "greet": "wave with",
        "say goodbye": "wave with",
        "raise the arms": "raise both arms",
        "arms in the air": "raise both arms",
        "hands up": "raise both arms",
        "cheer": "cheer with both",
        "be excited": "cheer with both",
        "celebrate": "cheer with both",
        "be happy": "cheer with both",
        "celebrate a victory": "victory",
        "win": "victory",
        "sit": "sit on a chair",
        "sit down": "sit on a chair",
        "be seated": "sit on a chair",
        "squat": "squat down",
        "do squats": "squat down",
        "crouch": "crouch",
        "duck": "crouch",
        "bend over": "bend over",
        "bend down": "pick something up",
        "bow": "bow",
        "take a bow": "bow",
        "beg": "pray",
        "be angry": "flail the arms",
        "shout": "argue",
        "discuss": "argue",
        "quarrel": "argue",
        "eat": "eat with",
        "have a meal": "eat with",
        "drink water": "drink with",
        "drink": "drink with",
        "cry": "cry into",
        "weep": "cry into",
        "be sad": "cry into",
        "think": "think with",
        "nod": "nod the head",
        "be tired": "exhausted",
        "be exhausted": "exhausted",
        "be cold": "shiver",
        "shiver": "shiver",
        "be dizzy": "sway dizzily",
        "be drunk": "sway dizzily",
        "block an attack": "block",
        "defend oneself": "block",
        "guard": "block",
        "swing a sword": "sword with both hands",
        "sword fight": "sword",
        "swing a baseball bat": "slash sideways",
        "play golf": "swing a golf club",
        "meditate": "meditate",
        "do yoga": "meditate",
        "stand": "stand still",
        "stand still": "stand and breathe",
        "do nothing": "stand still",
        "wait": "stand still",
        "spin": "spin around",
        "turn around": "spin around",
        "pirouette": "spin around",
        "play basketball": "shoot a basketball",
        "throw": "throw a ball",
        "throw a ball": "throw",
        "get up": "get up from",
        "lie down": "lie on",
        "lie": "lie on",
        "sleep": "sleep",
        "climb": "climb",
        "swim": "crawl on the belly",
        "crawl": "crawl",
        "fly like superman": "both arms stretched ahead",
        "do a handstand": "cartwheel",
        "do gymnastics": "cartwheel",
        "shoot a gun": "pistol",
        "aim a rifle": "rifle",
        "shoot an arrow": "draw a bow",
        "archery": "draw a bow",
        "cast a spell": "spell",
        "do magic": "spell",
        "do karate": "karate",
        "martial arts": "karate",
        "be a zombie": "zombie",
        "work out": "jumping jacks",
        "walk": "walk forward",
        "run": "run forward",
        "jump": "jump up",
        "dance": "dance",
        "make a phone call": "talk on the phone",
        "hug": "hug someone",
        "do push-ups": "push-ups",
    }
)
"""Other ways to ask for an action: phrase -> what a clip's own words contain."""
