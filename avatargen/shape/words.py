"""Says a description of a body in plainer words, for guidance that reads words by a lexicon of its own.

Negations, compounds ("broad-shouldered") and a few idioms; what is not listed stays as it is. Models that learnt
language from the world need none of this and are asked in the user's own words.
"""
# ruff: noqa: E501  a pattern is easier to read in one line

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
    # Height.
    (r"(?:well )?over (?:six|6|seven|7) f(?:ee|oo)?t(?: tall)?|6'\d+\"?|six[- ]foot(?:er|[- ]\w+)?", "very tall"),
    (
        r"under five f(?:ee|oo)t(?: tall)?|(?:barely|only) five f(?:ee|oo)t(?: tall)?|five f(?:ee|oo)t nothing",
        "very short",
    ),
    (r"(?:of |with )?(?:small|short|low|little|modest) (?:stature|height)|height[- ]challenged", "short"),
    (
        r"(?:of |with )?(?:great|tall|high|towering|imposing) (?:stature|height)|head and shoulders above \w+",
        "very tall",
    ),
    (r"bean ?pole|string ?bean|flagpole", "very tall and very skinny person"),
    (r"shorty|shortie|half[- ]pint|hobbit|gnome|midget|pygmy|lilliputian|minuscule|wee|titchy|bite-sized", "short"),
    (r"amazon(?:ian)?(?: warrior)?(?: woman)?", "tall strong woman"),
    (r"basketball (?:cent(?:er|re)|star|pro)|volleyball player|nba player", "tall athletic person"),
    (r"giraffe(?:-like)?|sky-?scraper|lofty|high as a house", "very tall"),
    # Weight.
    (r"flabby|doughy|pear-shaped and heavy|podge|porky|blubbery|tubby|dumpy|rolls of fat|love handles", "fat"),
    (
        r"big-?boned|large-?boned|heavily built|heavy build|solidly built|solid build|full-?figured|ample|matronly",
        "heavy",
    ),
    (
        r"morbidly obese|hugely fat|enormously fat|like a whale|like a barrel|as wide as (?:he|she|they) (?:is|are) tall",
        "extremely fat",
    ),
    (
        r"couch potato|comfort eater|gourmand|glutton|overfed|let (?:him|her|them)self go|needs to (?:diet|lose weight)",
        "fat",
    ),
    (
        r"emaciated|anorexic|skin and bones?|wasted|half-starved|famished|skeleton(?:-like)?|rake[- ]thin|thin as a rake|"
        r"wraith-like|haggard|scraggy",
        "extremely thin",
    ),
    (
        r"slightly built|slight build|small-boned|fine-boned|willowy|lithe|lissom|sylph-like|wispy|spare|narrow build|"
        r"lean build|featherweight|bantamweight|waif|size zero|slimline|slinky",
        "very thin",
    ),
    (r"catwalk model|supermodel|runway model|high fashion model|top model", "tall thin woman"),
    (r"long-distance runner|cross-country runner|marathoner|cyclist|climber|jockey-like", "thin athletic person"),
    # Muscle.
    (
        r"heavily muscled|muscle-bound|musclebound|muscleman|muscle man|mr\.? (?:universe|olympia)|rippling muscles|"
        r"bulging (?:muscles|biceps)|big biceps|six-pack(?: abs)?|gym rat|gym bunny|body ?builder'?s? (?:body|physique)",
        "very muscular",
    ),
    (r"hunk|adonis|stud|he-man|alpha male|beefcake", "muscular man"),
    (r"hulking(?: brute)?|brute|ogre|hulk|juggernaut|man mountain|behemoth", "very strong and heavy man"),
    (
        r"rugby (?:forward|player|prop)|american footballer|football player|defensive end|heavyweight(?: boxer| champion)?|"
        r"strongwoman|shot[- ]putter|bodyguard|security guard|blacksmith|docker|stevedore|navvy",
        "strong and heavy",
    ),
    (
        r"weak-looking|weakling|wimp|nerdy|bookish|unfit|no muscles?|limp|noodle arms|puny arms|delicate build",
        "weak thin",
    ),
    (
        r"crossfit(?:ter)?|decathlete|triathlete|rower|wrestler's build|commando|navy seal|firefighter's body|gladiator",
        "muscular athletic",
    ),
    # Age.
    (
        r"(?:old age )?pensioner|centenarian|septuagenarian|nonagenarian|old[- ]timer|golden[- ]ager|grandparent|great-grand\w+|nan|nana|"
        r"gran|grandad|granddad|grandma|in (?:his|her|their) (?:seventies|eighties|nineties|70s|80s|90s)|doddering|"
        r"wizened|withered|hunched with age|long in the tooth|over the hill",
        "very old person",
    ),
    (
        r"ag(?:e)?ing|getting on(?: in years)?|greying|past (?:his|her|their) prime|in (?:his|her) sixties|middle-aged|mature",
        "old",
    ),
    (r"schoolboy|choirboy|altar boy", "young boy"),
    (r"schoolgirl|choirgirl|tomboy", "young girl"),
    (
        r"pupil|juvenile|minor|tween(?:ager)?|freshman|sophomore|pubescent|in (?:his|her|their) teens|sixteen|"
        r"sixteen-year-old|1[3-9][- ]year[- ]old|baby-faced|stripling|cub scout",
        "very young",
    ),
    # Sex.
    (r"dude|gent|bro|husband|uncle|dad|daddy|brother|son|sir|mister|mr|guys|male figure|manly|butch", "man"),
    (
        r"damsel|dame|wife|aunt|mum|mom|mommy|sister|daughter|madam|mrs|ms|miss|heroine|womanly|ladylike|girly|busty|"
        r"big[- ]breasted|buxom",
        "woman",
    ),
    # Proportions.
    (
        r"long-limbed|legs for days|legs up to (?:here|there|(?:his|her|their) \w+)|mile-long legs|endless legs|all legs",
        "long legs",
    ),
    (r"stumpy legs|stubby legs|dachshund legs|low-slung|legs too short", "short legs"),
    (
        r"v-shaped(?: torso| back| body)?|inverted triangle|swimmer's (?:build|shoulders|body)|shoulders like a \w+|"
        r"strapping|quarterback shoulders",
        "broad shoulders",
    ),
    (r"no shoulders|bottle[- ]shouldered|stooped narrow frame", "narrow shoulders"),
    (
        r"child-?bearing hips|ample hips|hippy build|full hips|broad in the beam|pear shape|big bottom(?:ed)?|big butt|thicc",
        "wide hips",
    ),
    (r"boyish (?:hips|figure)|no hips|straight up and down|snake-hipped", "narrow hips"),
    (r"coke[- ]bottle figure|corset(?:ed)? waist|tiny waist|wasp-waisted", "slim waist"),
    (r"spare tyre|spare tire|muffin top|gut|paunch|bay window|apple-shaped|expecting|pregnant|with child", "big belly"),
    # Nothing in particular.
    (
        r"nobody in particular|no one in particular|anybody|anyone|somebody|someone|whoever|an? everyman|joe average|"
        r"(?:of |with )?(?:an? )?(?:average|medium|normal|regular|ordinary) (?:build|height|size|weight|body|figure|person|"
        r"human|adult)",
        "a person",
    ),
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
