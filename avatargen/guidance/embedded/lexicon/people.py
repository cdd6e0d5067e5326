"""Who someone is and how someone is built: beings, trades and their clothes, words for shapes."""

from collections.abc import Mapping
from types import MappingProxyType

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
