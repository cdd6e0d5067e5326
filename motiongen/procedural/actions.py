# ruff: noqa: E501  one line an action reads best
"""The list of our own actions: words, length and how each is played. `procedural_clips` performs them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from avatargen.core.rng import numpy_stream
from avatargen.core.values import Motion
from motiongen.clips import Clip
from motiongen.procedural import balls, everyday, exercises, fights, gestures, moods
from motiongen.procedural.take import Take


@dataclass(frozen=True)
class Action:
    """One action: `play` sets the controls of a take of about `seconds`."""

    name: str
    label: str
    alternatives: tuple[str, ...]
    seconds: float
    play: Callable[[Take], None]
    life: float = 1.0
    """How much breathing and swaying is added."""
    smooth: float = 0.8
    """Frames; blows need little."""


def _a(
    name: str,
    label: str,
    alternatives: str,
    seconds: float,
    play: Callable[[Take], None],
    life: float = 1.0,
    smooth: float = 0.8,
) -> Action:
    return Action(name, label, tuple(alternatives.split("|")), seconds, play, life, smooth)


ACTIONS: tuple[Action, ...] = (
    _a("wave", "wave with the right hand", "wave|wave hello|greet someone|wave goodbye with the right hand", 3.1, gestures.wave),
    _a("wave_both", "wave with both arms", "wave both arms overhead|wave for help|signal with both arms", 3.3, gestures.wave_both),
    _a("clap", "clap", "clap the hands|applaud|give applause|clapping", 3.2, gestures.clap),
    _a("pray", "pray", "pray with the palms together|fold the hands in prayer|praying|plead", 3.2, gestures.pray),
    _a("point", "point ahead with the right hand", "point|point at something|point forward with the right arm", 2.8, gestures.point),
    _a("shrug", "shrug", "shrug the shoulders|say I don't know|raise the shoulders with open hands", 3.1, gestures.shrug),
    _a("argue", "argue", "argue with someone|quarrel and gesture|debate with the hands|be in a heated discussion|talk angrily", 3.2, gestures.argue),
    _a("raise_arms", "raise both arms", "lift both arms overhead|put both hands up|stretch both arms up|raise the arms", 3.2, gestures.raise_arms),
    _a("cheer", "cheer with both fists up", "celebrate a victory|be excited|rejoice|jump for joy with fists pumping|celebrate", 2.8, gestures.cheer),
    _a("nod", "nod the head", "nod|say yes|nod in agreement", 2.4, gestures.nod, 0.7),
    _a("shake_head", "shake the head", "say no|shake one's head|disagree", 2.6, gestures.shake_head, 0.7),
    _a("bow", "bow", "bow deeply|take a bow|bend forward in greeting|bow respectfully", 3.1, gestures.bow, 0.7),
    _a("salute", "salute with the right hand", "salute|give a military salute|greet like a soldier", 2.6, gestures.salute, 0.6),
    _a("think", "think with the right hand at the chin", "think|ponder|wonder about something|be thoughtful", 3.3, gestures.think),
    _a("cross_arms", "stand with crossed arms", "cross the arms|fold the arms|wait with folded arms", 3.1, gestures.cross_arms),
    _a("hands_on_hips", "stand with both hands on the hips", "put the hands on the hips|stand akimbo", 3.1, gestures.hands_on_hips),
    _a("cry", "cry into the hands", "cry|weep|sob|hide the face in the hands|be sad|crying", 3.3, gestures.cry, 0.7),
    _a("hug", "hug someone", "hug|embrace a friend|give a hug|close the arms around someone", 3.4, gestures.hug),
    _a("beckon", "beckon with the right hand", "call someone over|wave someone near|come here", 3.1, gestures.beckon),
    _a("stretch", "stretch the arms and the back", "stretch|yawn and stretch|stretch after sleep", 3.3, gestures.stretch),
    _a("stand", "stand still", "stand|stand still and breathe|do nothing|wait standing|idle", 3.0, gestures.stand, 0.5),
    _a("look_around", "look around", "look left and right|search with the eyes|look about", 3.5, gestures.look_around, 0.7),
    _a("thumbs_up", "give a thumbs up with the right hand", "thumbs up|show approval|say well done", 2.7, gestures.thumbs_up),
    _a("sit", "sit on a chair", "sit|be seated|sit still on a seat|sitting", 3.0, everyday.sit_idle, 0.7),
    _a("sit_down", "sit down on a chair", "sit down|take a seat|lower oneself onto a chair", 2.6, everyday.sit_down, 0.7),
    _a("stand_up", "stand up from a chair", "stand up|get up from a seat|rise from a chair", 2.6, everyday.stand_up, 0.7),
    _a("eat", "eat with the right hand", "eat|eat a meal|have dinner|bring food to the mouth|eating", 3.9, everyday.eat, 0.7),
    _a("drink", "drink with the right hand", "drink|drink water|drink from a cup|take a sip|drinking water", 3.5, everyday.drink, 0.7),
    _a("type", "type on a keyboard", "type|work at a computer|write on a keyboard", 3.2, everyday.type_keys, 0.6),
    _a("piano", "play the piano", "play a piano|play keys|perform on the piano", 3.4, everyday.piano, 0.6),
    _a("guitar", "play the guitar", "play guitar|strum a guitar|play an instrument with strings", 3.4, everyday.guitar, 0.6),
    _a("drums", "play the drums", "drum|beat the drums|play percussion", 3.2, everyday.drums, 0.5),
    _a("phone", "talk on the phone", "make a phone call|hold a phone to the ear|call someone", 3.4, everyday.phone, 0.8),
    _a("read", "read a book", "read|hold a book and read|study a book", 3.2, everyday.read_book, 0.6),
    _a("brush_teeth", "brush the teeth with the right hand", "brush the teeth|clean one's teeth", 3.0, everyday.brush_teeth, 0.6),
    _a("comb", "comb the hair with the right hand", "comb the hair|brush the hair|stroke over the head", 3.8, everyday.comb_hair, 0.6),
    _a("hammer", "hammer with the right hand", "hit with a hammer|hammer a nail|work with a hammer", 3.3, everyday.hammer, 0.6, 0.6),
    _a("sweep", "sweep the floor", "sweep with a broom|clean the floor|mop the floor", 3.4, everyday.sweep, 0.6),
    _a("pick_up", "pick something up from the floor with both hands", "lift a box|bend down and lift something|pick up", 3.0, everyday.pick_up, 0.6),
    _a("punch", "punch with both fists in turn", "punch|box|throw punches|jab and cross|punching|throw a punch|fight with the fists", 3.0, fights.punch, 0.5, 0.5),
    _a("punch_cross", "punch with the right fist", "punch|throw a right cross|hit with the right fist|punching|strike with the right hand", 3.0, fights.punch_cross, 0.5, 0.5),
    _a("uppercut", "throw an uppercut with the right fist", "punch upwards|do an uppercut|hit from below", 2.8, fights.uppercut, 0.5, 0.5),
    _a("block", "block an attack with both arms", "block|defend oneself|cover the face with the arms|shield the head|blocking an attack", 2.7, fights.block, 0.5, 0.6),
    _a("front_kick", "kick forward with the right foot", "kick|do a front kick|kick high with the right leg|kicking", 2.6, fights.front_kick, 0.4, 0.5),
    _a("kick_ball", "kick a soccer ball with the right foot", "kick a ball|shoot a soccer ball|play soccer|kicking soccer|play football", 2.6, balls.kick_ball, 0.4, 0.6),
    _a("throw", "throw a ball with the right hand", "throw|throw a ball overarm|pitch a ball|hurl something|throwing a ball", 2.5, balls.throw, 0.4, 0.5),
    _a("basketball", "shoot a basketball", "shoot a basket|throw a basketball|take a jump shot|shooting a basketball|play basketball", 2.8, balls.shoot_basketball, 0.4, 0.6),
    _a("dribble", "dribble a basketball with the right hand", "dribble a ball|bounce a ball|play basketball", 3.0, balls.dribble, 0.5),
    _a("golf", "swing a golf club", "play golf|hit a golf ball|do a golf swing", 2.8, balls.golf, 0.3, 0.6),
    _a("sword", "swing a sword with both hands", "swing a sword|strike with a sword|chop with a sword|swinging a sword", 3.0, fights.swing_sword, 0.4, 0.5),
    _a("squat", "squat down and up", "squat|do squats|do knee bends|squatting", 3.6, exercises.squat, 0.4),
    _a("lunge", "lunge forward with the right leg", "do a lunge|take a long step and bend the knee", 2.8, exercises.lunge, 0.4),
    _a("jumping_jack", "do jumping jacks", "do star jumps|jump and spread arms and legs", 3.0, exercises.jumping_jack, 0.2, 0.5),
    _a("dance", "dance", "dance to music|groove from side to side|dance with the hips and arms|dancing", 3.6, exercises.dance, 0.4),
    _a("climb", "climb a ladder", "climb|climb up|climb hand over hand|climbing", 3.4, exercises.climb, 0.2),
    _a("spin", "spin around with the arms out", "spin|turn around|spin around on the spot|twirl|spinning", 2.9, exercises.spin, 0.2),
    _a("march", "walk in place", "march on the spot|step on the spot|walk on the spot", 3.2, exercises.walk_in_place, 0.4),
    _a("run_in_place", "run in place", "run on the spot|jog on the spot|jog in place", 2.6, exercises.run_in_place, 0.3, 0.5),
    _a("shiver", "shiver with cold", "shiver|tremble|quiver with fear|freeze|be cold|shivering", 3.2, moods.shiver, 0.3, 0.0),
    _a("dizzy", "sway dizzily with a hand at the head", "be dizzy|stagger|feel faint|sway|be drunk", 3.4, moods.dizzy, 0.5),
    _a("tired", "stand tired with hanging shoulders", "be tired|be exhausted|be weary|slump|be worn out", 3.2, moods.tired, 0.5),
    _a("bend_over", "bend over and touch the toes", "bend over|bend forward|touch the toes|stoop|bend down", 3.2, moods.bend_over, 0.5),
    _a("crouch", "crouch down and look about", "crouch|duck|hide low|crouch low|crouching", 3.2, moods.crouch, 0.4),
    _a("laugh", "laugh with a hand on the belly", "laugh|laugh out loud|giggle|chuckle|be amused", 3.2, moods.laugh, 0.5, 0.4),
    _a("push_up", "do push-ups", "push-up|do press-ups|push oneself up from the floor|exercise on the floor", 3.2, moods.push_up, 0.0, 0.4),
)  # fmt: skip


def perform(action: Action, generator: np.random.Generator) -> Motion:
    """One take of `action`; the generator decides tempo, size and all small differences."""
    take = Take(generator, action.seconds, (0.92, 1.12) if action.smooth < 0.8 else (0.85, 1.2))
    action.play(take)
    if action.life > 0:
        take.alive(action.life)
    return take.motion(action.name, action.smooth)


def procedural_clips(seed: int = 0, takes: int = 4, actions: Sequence[Action] = ACTIONS) -> list[Clip]:
    """`takes` different performances of every action, always the same for a seed."""
    clips = []
    for action in actions:
        for take in range(takes):
            clips.append(take_of(action, take, numpy_stream(seed, f"procedural/{action.name}/{take}")))
    return clips


def take_of(action: Action, take: int, generator: np.random.Generator) -> Clip:
    """One take with its words."""
    return Clip(
        motion=replace(perform(action, generator), name=f"procedural/{action.name}_{take}"),
        label=action.label,
        alternatives=action.alternatives,
        source="procedural",
        licence="Apache-2.0",
        # One group, so all of them train: held-out takes of a trained action would flatter the validation.
        group="procedural",
    )
