"""What someone does."""

from collections.abc import Mapping
from types import MappingProxyType

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
