"""What is worn and what it covers, and the parts of a body."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

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
    grown: bool = False
    """Hair of some kind, of which color words mean what they mean of hair."""


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
        "helmet,hood,cowl,winged helmet,hijab,veil,headdress,wig": Garment(("hair",), 3),
        "mask,face mask,balaclava,face paint,visor": Garment(("face", "beard"), 3),
        (
            "hair,hairstyle,haircut,bob haircut,braid,braids,braided hair,ponytail,pigtails,bun,buns,curls,"
            "dreadlocks,afro,fringe,locks"
        ): (Garment(("hair",), 2, "", (), grown=True)),
        "mohawk": Garment(("hair",), 2, "", ()),
        "blond,blonde,brunette,redhead": Garment(("hair",), 2, "", ()),
        "beard,goatee,stubble,chin beard,whiskers": Garment(("beard",), 3, "chestnut", grown=True),
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
