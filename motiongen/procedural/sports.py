"""Blows, kicks, throws and exercises: fast, with the hips leading and the feet where a body needs them."""

import numpy as np

from motiongen.procedural.take import Take

_GUARD_LEAD = (-0.08, 0.05, 0.26)
_GUARD_REAR = (-0.10, 0.03, 0.19)


def _fighter(t: Take) -> None:
    """A boxer's stance, left side ahead, bouncing."""
    t.key("foot_l", (0, (0.05, 0, 0.16))).key("foot_r", (0, (0.08, 0, -0.18))).key("foot_turn_l", (0, (0, -8))).key("foot_turn_r", (0, (22, 42)))
    t.key("pelvis", (0, (0, -0.075, -0.01))).key("pelvis_turn", (0, (4, -26, 0))).key("spine", (0, (9, -8, 0))).key("head", (0, (3, 30, 0)))
    t.key("hand_l", (0, t.jitter(_GUARD_LEAD, 0.015))).key("hand_r", (0, t.jitter(_GUARD_REAR, 0.015)))
    t.key("elbow_lr", (0, (0.25, -1, 0.0))).key("palm_lr", (0, (-0.9, 0, -0.3))).key("fingers_lr", (0, (0, 0.25, 0.2)))
    t.swing("pelvis", (0, 0.012, 0.006), t.vary(2.0))


def _spike(t: Take, at: float, out: float, hold: float, back: float) -> np.ndarray:
    """0 to 1 within `out` seconds before `at`, 1 for `hold`, back to 0 over `back`; times in real seconds. [t]"""
    time = t.time * t.tempo
    rise = np.clip((time - (at - out)) / out, 0, 1)
    fall = np.clip((time - at - hold) / back, 0, 1)
    return rise**2 * (3 - 2 * rise) * (1 - fall**2 * (3 - 2 * fall))


def _blow(t: Take, side: str, at: float, cross: bool, height: float = -0.03) -> None:
    """Adds one straight punch that lands at `at` real seconds."""
    # In the world: the target is straight ahead, whatever the chest does; farther than the arm is long.
    reach = np.array((-0.16, height, 0.74)) if side == "l" else np.array((-0.16, height, 0.68))
    hit = _spike(t, at, t.generator.uniform(0.15, 0.18), 0.05, 0.26)[:, None]
    cock = _spike(t, at - 0.2, 0.16, 0.0, 0.14)[:, None]
    now = t.controls[f"hand_{side}"]
    t.controls[f"hand_{side}"] = now + cock * [[0.02, -0.02, -0.05]] + hit * (reach - now)
    t.add(f"world_{side}", hit)
    elbow = t.controls[f"elbow_{side}"]
    t.controls[f"elbow_{side}"] = elbow + hit * (np.array([0.8, -0.6, 0]) - elbow)
    palm = t.controls[f"palm_{side}"]
    t.controls[f"palm_{side}"] = palm + hit * (np.array([-0.1, -1.0, 0]) - palm)
    fingers = t.controls[f"fingers_{side}"]
    t.controls[f"fingers_{side}"] = fingers * (1 - hit)
    # Hips turn a little before the hand lands, the chest with it, the head stays on the target.
    lead = _spike(t, at - 0.03, 0.2, 0.06, 0.3)[:, None] - 0.35 * cock
    turn = (24.0, 26.0) if cross else (-8.0, -14.0)
    t.add("pelvis_turn", lead * [[0, turn[0], 0]]).add("spine", lead * [[3, turn[1], 0]]).add("head", lead * [[0, -0.85 * sum(turn), 0]])
    t.add(f"collar_{side}", hit * [[2.0, 16.0]])
    t.add("pelvis", lead * [[0, -0.012, 0.045 if cross else 0.03]])
    if cross:
        t.add("foot_turn_r", lead * [[16, -28]])
    else:
        t.add("foot_turn_r", lead * [[6, 0]])


def punch(t: Take) -> None:
    """Jab and cross, again and again."""
    _fighter(t)
    at = 0.55
    end = t.frames / 30 - 0.3
    while at < end:
        _blow(t, "l", at, cross=False)
        second = at + t.generator.uniform(0.36, 0.44)
        if second < end:
            _blow(t, "r", second, cross=True)
        at = second + t.generator.uniform(0.7, 0.85)


def punch_cross(t: Take) -> None:
    """Right straight punches."""
    _fighter(t)
    at = 0.6
    while at < t.frames / 30 - 0.3:
        _blow(t, "r", at, cross=True, height=t.generator.uniform(-0.1, 0.04))
        at += t.generator.uniform(0.85, 1.0)


def uppercut(t: Take) -> None:
    """The right fist comes up from below."""
    _fighter(t)
    at = 0.75
    while at < t.frames / 30 - 0.35:
        dip, hit = _spike(t, at - 0.2, 0.25, 0.03, 0.15)[:, None], _spike(t, at, 0.2, 0.06, 0.35)[:, None]
        now = t.controls["hand_r"]
        t.controls["hand_r"] = now + dip * (np.array([-0.0, -0.33, 0.16]) - now) * 0.8
        now = t.controls["hand_r"]
        t.controls["hand_r"] = now + hit * (np.array([-0.16, 0.15, 0.31]) - now)
        t.add("pelvis", dip * [[-0.02, -0.07, 0]] + hit * [[0, 0.045, 0.03]])
        t.add("pelvis_turn", hit * [[0, 26, 0]] - dip * [[0, 8, 0]]).add("spine", hit * [[-6, 24, -4]] + dip * [[6, -10, 6]])
        t.add("head", hit * [[0, -42, 0]] + dip * [[-4, 14, 0]]).add("foot_turn_r", hit * [[16, -26]])
        at += t.generator.uniform(1.1, 1.25)


def block(t: Take) -> None:
    """Both forearms come up in front of the face and the body ducks behind them."""
    _fighter(t)
    for at in (0.6, 1.7):
        hit = _spike(t, at, 0.16, 0.4, 0.35)[:, None]
        for side, out in (("l", -0.10), ("r", -0.12)):
            now = t.controls[f"hand_{side}"]
            t.controls[f"hand_{side}"] = now + hit * (np.array([out, 0.19, 0.23]) - now)
        t.add("pelvis", hit * [[0, -0.06, -0.05]]).add("spine", hit * [[9, 0, 0]]).add("head", hit * [[10, 0, 0]])


def _kick_base(t: Take) -> None:
    t.key("hand_l", (0, (0.10, -0.30, 0.2))).key("hand_r", (0, (0.14, -0.36, 0.10)))
    t.key("foot_l", (0, (0.03, 0, 0.0)))


def front_kick(t: Take) -> None:
    """The right knee comes up, the foot snaps forward at waist height."""
    _fighter(t)
    at, far = 1.0, 0.52 * t.size
    t.key("foot_r", (0, (0.08, 0, -0.18)), (0.55, (0.08, 0, -0.18)), (0.8, (-0.03, 0.42, 0.14)), (at, (-0.05, 0.80, far + 0.16)),
          (at + 0.06, (-0.05, 0.80, far + 0.16)), (at + 0.3, (-0.03, 0.40, 0.12)), (at + 0.65, (0.08, 0, -0.16)), (at + 1.4, (0.08, 0, -0.18)))  # fmt: skip
    t.key("foot_turn_r", (0, (22, 42)), (0.55, (34, 30)), (0.8, (30, 5)), (at, (-30, 5)), (at + 0.06, (-30, 5)), (at + 0.3, (25, 5)), (at + 0.65, (20, 40)))
    t.key("pelvis", (0, (0, -0.075, -0.01)), (0.5, (0.06, -0.06, 0.05)), (at, (0.085, -0.035, 0.10)), (at + 0.3, (0.075, -0.05, 0.08)), (at + 0.8, (0, -0.075, -0.01)))
    t.key("pelvis_turn", (0, (4, -26, 0)), (0.7, (-4, -8, 0)), (at, (-20, 8, 0)), (at + 0.3, (-6, -8, 0)), (at + 0.8, (4, -26, 0)))
    t.key("spine", (0, (9, -8, 0)), (at, (-2, -14, 0)), (at + 0.8, (9, -8, 0)))
    t.key("head", (0, (3, 30, 0)), (at, (12, 6, 0)), (at + 0.8, (3, 30, 0)))


def kick_ball(t: Take) -> None:
    """A step, then the right foot swings through a ball on the ground."""
    t.key("foot_l", (0, (0.03, 0, -0.1)), (0.3, (0.03, 0.0, -0.1)), (0.55, (0.03, 0.10, 0.16)), (0.8, (0.03, 0, 0.34)), (3, (0.03, 0, 0.34)))
    t.key("foot_turn_l", (0, (0, 8)), (0.3, (20, 8)), (0.55, (10, 8)), (0.75, (-14, 4)), (0.9, (0, 4)), (3, (0, 6)))
    t.key("foot_r", (0, (0.03, 0, 0.02)), (0.75, (0.03, 0, 0.02)), (1.05, (0.07, 0.36, -0.34)), (1.28, (0.0, 0.07, 0.42)), (1.48, (-0.07, 0.52, 0.90)),
          (1.56, (-0.07, 0.54, 0.92)), (1.9, (0.0, 0.26, 0.60)), (2.2, (0.03, 0, 0.36)), (3, (0.03, 0, 0.36)))  # fmt: skip
    t.key("foot_turn_r", (0, (0, 10)), (0.75, (30, 10)), (1.05, (62, 12)), (1.28, (28, 8)), (1.48, (18, 0)), (1.9, (10, 4)), (2.2, (0, 9)))
    t.key("pelvis", (0, (0, -0.02, -0.04)), (0.4, (-0.03, -0.03, 0.03)), (0.8, (0.05, -0.06, 0.22)), (1.28, (0.075, -0.05, 0.34)), (1.5, (0.075, -0.02, 0.38)), (2.2, (0, -0.01, 0.36)), (3, (0, -0.008, 0.355)))
    t.key("pelvis_turn", (0, None), (1.0, (8, -22, 0)), (1.28, (-4, 6, -4)), (1.5, (-16, 22, -4)), (2.2, None))
    t.key("spine", (0, None), (1.0, (-8, 12, 0)), (1.28, (8, 0, 0)), (1.5, (16, -18, 0)), (2.2, None))
    t.key("head", (0, (12, 0, 0)), (1.2, (24, 6, 0)), (1.6, (6, 0, 0)), (2.4, None))
    t.key("hand_l", (0, None), (1.0, (0.42, -0.12, 0.06)), (1.5, (0.18, -0.25, 0.32)), (2.3, None))
    t.key("hand_r", (0, None), (1.0, (0.26, -0.30, 0.16)), (1.5, (0.28, -0.30, -0.20)), (2.3, None))


def _throw(t: Take, side: str = "r") -> None:
    t.key("foot_l", (0, (0.03, 0, 0.0)), (0.45, (0.03, 0, 0)), (0.7, (0.05, 0.12, 0.2)), (0.95, (0.06, 0, 0.36)), (3, (0.06, 0, 0.36)))
    t.key("foot_r", (0, (0.04, 0, -0.05)))
    t.key("foot_turn_r", (0, (0, 40)), (0.9, (0, 50)), (1.25, (42, 20)), (1.6, (46, 10)), (3, (40, 10)))
    t.key(f"hand_{side}", (0, (-0.1, -0.15, 0.26)), (0.55, (0.2, -0.22, -0.05)), (0.95, (0.36, 0.14, -0.16)), (1.12, (0.10, 0.36, 0.10)), (1.2, (-0.0, 0.26, 0.36)),
          (1.38, (-0.22, -0.22, 0.36)), (1.6, (-0.26, -0.36, 0.24)), (2.4, None))  # fmt: skip
    t.key(f"elbow_{side}", (0, None), (0.7, (0.9, -0.2, -0.5)), (1.12, (1, 0.2, 0.1)), (1.5, (0.8, -0.2, 0.2)), (2.4, None))
    t.key("hand_l", (0, (-0.12, -0.15, 0.26)), (0.6, (0.1, -0.02, 0.42)), (1.0, (0.12, -0.05, 0.40)), (1.3, (0.05, -0.28, 0.16)), (2.4, None))
    t.key("pelvis_turn", (0, (0, -20, 0)), (0.7, (-6, -58, 0)), (0.95, (-4, -40, 0)), (1.2, (6, 12, 0)), (1.6, (18, 26, 0)), (2.6, (0, 0, 0)))
    t.key("spine", (0, None), (0.7, (-10, -22, 4)), (1.0, (-14, -26, 4)), (1.2, (10, 22, 0)), (1.6, (26, 24, 0)), (2.6, None))
    t.key("head", (0, (0, 20, 0)), (0.7, (2, 62, 0)), (1.0, (2, 50, 0)), (1.25, (0, -20, 0)), (1.6, (-16, -30, 0)), (2.6, None))
    t.key("pelvis", (0, (-0.02, -0.02, -0.04)), (0.7, (-0.05, -0.05, -0.06)), (1.0, (0.0, -0.08, 0.12)), (1.3, (0.03, -0.08, 0.26)), (2.6, (0.02, -0.05, 0.22)))


def throw(t: Take) -> None:
    """A step and an overarm throw with the right hand."""
    _throw(t)


def shoot_basketball(t: Take) -> None:
    """Knees bend, the ball goes up from the chest, a small jump and the wrist flicks."""
    t.key("foot_lr", (0, (0.05, 0, 0.0)), (1.0, (0.05, 0, 0)), (1.28, (0.05, 0.16, 0.03)), (1.42, (0.05, 0.16, 0.035)), (1.68, (0.05, 0, 0.05)), (3, (0.05, 0, 0.05)))
    t.key("foot_turn_lr", (0, (0, 8)), (0.85, (0, 8)), (1.02, (36, 8)), (1.3, (42, 8)), (1.6, (24, 8)), (1.75, (0, 8)))
    t.key("pelvis", (0, None), (0.7, (0, -0.17, -0.06)), (1.02, (0, 0.04, 0.02)), (1.3, (0, 0.21, 0.04)), (1.42, (0, 0.21, 0.045)), (1.68, (0, -0.02, 0.05)), (1.82, (0, -0.11, 0.03)), (2.3, (0, -0.01, 0.05)))
    t.key("pelvis_turn", (0, None), (0.7, (14, 0, 0)), (1.05, None)).key("spine", (0, None), (0.7, (10, 0, 0)), (1.1, (-6, 0, 0)), (1.8, (4, 0, 0)), (2.4, None))
    t.key("head", (0, None), (0.6, (-10, 0, 0)), (1.5, (-22, 0, 0)), (2.3, (-10, 0, 0)))
    chest, brow, top = (-0.10, -0.15, 0.25), (-0.10, 0.22, 0.22), (-0.06, 0.455, 0.15)
    t.key("hand_r", (0, chest), (0.7, (-0.10, -0.2, 0.22)), (1.0, brow), (1.3, top), (1.7, (-0.06, 0.43, 0.2)), (2.3, (0.05, -0.2, 0.25)), (2.8, None))
    t.key("hand_l", (0, chest), (0.7, (-0.10, -0.2, 0.22)), (1.0, (-0.09, 0.23, 0.2)), (1.22, (-0.04, 0.40, 0.18)), (1.45, (0.02, 0.38, 0.2)), (2.3, (0.05, -0.2, 0.25)), (2.8, None))
    t.key("elbow_lr", (0, (0.6, -1, 0)), (1.0, (0.45, -0.6, 0.7)), (1.6, (0.6, -0.2, 0.7)), (2.5, None))
    t.key("palm_r", (0, (-1, 0, 0)), (1.0, (0, 0.5, 0.8)), (1.28, (0, 0.3, 0.9)), (1.36, (0, -0.7, 0.6)), (1.7, (0, -0.8, 0.5)), (2.4, None))
    t.key("fingers_r", (0, (-0.1, 0.2, 0.9)), (1.0, (0, 0.9, -0.6)), (1.28, (0, 1, -0.3)), (1.36, (0, 0.0, 1)), (1.7, (0, -0.2, 1)), (2.4, None))
    t.key("palm_l", (0, (-1, 0, 0)), (1.5, (-1, 0, 0)), (2.4, None))
    t.key("fingers_l", (0, (-0.1, 0.2, 0.9)), (1.0, (0, 1, 0.1)), (1.5, (0, 1, 0.1)), (2.4, None))


def dribble(t: Take) -> None:
    """The right hand bounces a ball at hip height."""
    hz = t.vary(1.7)
    t.key("pelvis", (0, (0, -0.10, -0.03))).key("pelvis_turn", (0, (14, 0, 0))).key("spine", (0, (12, 0, 0))).key("head", (0, (4, 0, 0)))
    t.key("hand_r", (0, (0.10, -0.30, 0.25))).key("palm_r", (0, (0, -1, 0.1))).key("fingers_r", (0, (0, -0.1, 1))).key("elbow_r", (0, (0.7, -0.2, -0.9)))
    t.key("hand_l", (0, (0.22, -0.26, 0.22))).key("foot_l", (0, (0.08, 0, 0.1))).key("foot_r", (0, (0.08, 0, -0.08)))
    t.swing("hand_r", (0, 0.105 * t.size, 0.01), hz, sharp=0.15).swing("fingers_r", (0, 0.5, 0), hz, phase=-0.12)
    t.swing("pelvis", (0, 0.014, 0), hz, phase=0.1).swing("spine", (2, 3, 0), hz)


def golf(t: Take) -> None:
    """Both hands swing a club from above the right shoulder through to the left."""
    low, high, end = (-0.17, -0.40, 0.20), (0.02, 0.12, 0.10), (-0.32, 0.12, 0.14)
    t.key("hand_r", (0, low), (0.4, low), (1.2, high), (1.35, high), (1.62, low), (1.9, end), (2.8, end))
    t.key("hand_l", (0, low), (0.4, low), (1.2, (-0.34, 0.08, 0.16)), (1.35, (-0.34, 0.08, 0.16)), (1.62, low), (1.9, (0.0, 0.14, 0.08)), (2.8, (0.0, 0.14, 0.08)))
    t.key("elbow_lr", (0, (0.7, -0.6, -0.3)), (1.3, (0.8, -0.5, 0)), (1.62, (0.7, -0.6, -0.3)), (2.0, (0.8, -0.5, 0)))
    t.key("palm_lr", (0, (-1, 0, 0)))
    t.key("spine", (0, (22, 0, 0)), (0.4, (22, 0, 0)), (1.2, (20, -34, 0)), (1.35, (20, -34, 0)), (1.62, (22, 6, 0)), (1.95, (6, 40, 0)), (2.8, (4, 42, 0)))
    t.key("pelvis_turn", (0, (16, 0, 0)), (0.4, (16, 0, 0)), (1.2, (14, -26, 0)), (1.5, (16, 10, 0)), (1.95, (6, 56, 0)), (2.8, (2, 60, 0)))
    t.key("head", (0, (24, 0, 0)), (1.2, (20, 48, 0)), (1.62, (22, -8, 0)), (2.1, (0, -8, 0)), (2.8, (0, -10, 0)))
    t.key("pelvis", (0, (0, -0.05, -0.08)), (1.2, (-0.03, -0.05, -0.08)), (1.62, (0.04, -0.05, -0.06)), (2.0, (0.08, -0.02, 0)))
    t.key("foot_lr", (0, (0.09, 0, 0))).key("foot_turn_r", (0, (0, 8)), (1.5, (4, 0)), (2.0, (50, -40)), (2.8, (52, -44)))


def swing_sword(t: Take) -> None:
    """Both hands swing a sword down from overhead, twice."""
    up, down = (-0.12, 0.40, 0.02), (-0.15, -0.22, 0.36)
    keys, lean = [(0.0, (-0.13, -0.1, 0.3))], [(0.0, (4, 0, 0))]
    for at in (0.9, 2.1):
        keys += [(at - 0.28, up), (at - 0.2, up), (at, down), (at + 0.35, down)]
        lean += [(at - 0.24, (-12, 0, 0)), (at, (20, 0, 0)), (at + 0.35, (18, 0, 0))]
    keys.append((3.0, (-0.13, -0.1, 0.3)))
    t.key("hand_lr", *keys).key("elbow_lr", (0, (0.8, -0.3, 0.1))).key("palm_lr", (0, (-1, 0, 0)))
    t.key("spine", *lean, (3.0, (4, 0, 0)))
    t.key("foot_l", (0, (0.03, 0, -0.06))).key("foot_r", (0, (0.05, 0, 0.2))).key("foot_turn_l", (0, (20, 30)))
    t.key("pelvis", (0, (0, -0.07, 0.05)), (0.65, (0, -0.05, 0.0)), (0.9, (0, -0.11, 0.1)), (1.85, (0, -0.05, 0.02)), (2.1, (0, -0.11, 0.1)), (3, (0, -0.07, 0.05)))


def squat(t: Take) -> None:
    """Deep knee bends with the arms stretched forward."""
    deep = (0.0, t.vary(-0.47, 0.06), -0.17)
    keys, turn, hand, spine = [(0.0, None)], [(0.0, None)], [(0.0, None)], [(0.0, None)]
    at, beat = 0.1, t.vary(0.72, 0.1)
    while at + 2 * beat < 3.6:
        keys += [(at + beat, deep), (at + beat + 0.15, deep), (at + 2 * beat, None)]
        turn += [(at + beat, (30, 0, 0)), (at + beat + 0.15, (30, 0, 0)), (at + 2 * beat, None)]
        spine += [(at + beat, (10, 0, 0)), (at + beat + 0.15, (10, 0, 0)), (at + 2 * beat, None)]
        hand += [(at + beat, (0.02, 0.02, 0.46)), (at + beat + 0.15, (0.02, 0.02, 0.46)), (at + 2 * beat, None)]
        at += 2 * beat + 0.15
    t.key("pelvis", *keys).key("pelvis_turn", *turn).key("spine", *spine).key("hand_lr", *hand)
    t.key("foot_lr", (0, (0.10, 0, 0))).key("foot_turn_lr", (0, (0, 24))).key("knee_lr", (0, (0.5,)))
    t.add("head", -0.35 * (t.controls["pelvis_turn"]))


def lunge(t: Take) -> None:
    """The right leg steps far ahead, the knee bends, and back."""
    t.key("foot_r", (0, (0.02, 0, 0)), (0.2, (0.02, 0, 0)), (0.6, (0.03, 0.1, 0.4)), (0.95, (0.03, 0, 0.72)), (2.0, (0.03, 0, 0.72)), (2.4, (0.03, 0.1, 0.3)), (2.8, (0.02, 0, 0)))
    t.key("foot_turn_r", (0, (0, 6)), (0.8, (-12, 6)), (1.0, (0, 6)), (2.0, (0, 6)), (2.15, (14, 6)), (2.8, (0, 6)))
    t.key("foot_turn_l", (0, (0, 6)), (0.6, (10, 6)), (1.3, (52, 4)), (1.8, (52, 4)), (2.4, (10, 6)), (2.7, (0, 6)))
    t.key("pelvis", (0, None), (0.9, (0.02, -0.13, 0.32)), (1.4, (0, -0.36, 0.36)), (1.8, (0, -0.36, 0.36)), (2.3, (0.02, -0.1, 0.2)), (2.8, None))
    t.key("hand_lr", (0, None), (1.0, (0.08, -0.36, 0.06)))
    t.key("elbow_lr", (0, None), (1.0, (1, -0.3, -0.5)))


def jumping_jack(t: Take) -> None:
    """Feet jump apart and together while the arms go up and down."""
    hz = t.vary(1.05)
    phase = (t.time * hz) % 1.0
    apart = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    hop = np.abs(np.sin(2 * np.pi * phase)) ** 1.2
    t.key("foot_lr", (0, (0.0, 0, 0))).add("foot_lr", np.stack([0.26 * apart, 0.055 * hop, 0 * hop], -1))
    t.key("pelvis", (0, (0, -0.035, 0))).add("pelvis", np.stack([0 * hop, 0.075 * hop - 0.05 * apart, 0 * hop], -1))
    t.key("foot_turn_lr", (0, (6, 8))).add("foot_turn_lr", np.stack([26 * hop, 8 * apart], -1))
    angle = np.radians(-84 + 162 * apart)
    reach = np.stack([0.45 * np.cos(angle) + 0.03, 0.47 * np.sin(angle), 0.05 + 0 * angle], -1)
    for side in "lr":
        t.controls[f"hand_{side}"] = reach.copy()
    t.key("elbow_lr", (0, (0.3, -0.5, -0.9)))


def dance(t: Take) -> None:
    """A groove: weight from side to side, hips and arms in time."""
    hz = t.vary(0.95)
    beat = t.generator.uniform()
    t.key("foot_lr", (0, (0.07, 0, 0)))
    side = np.sin(2 * np.pi * (hz * t.time + beat))
    bounce = np.cos(4 * np.pi * (hz * t.time + beat))
    t.key("pelvis", (0, (0, -0.07, 0))).add("pelvis", np.stack([0.085 * side, 0.028 * bounce, 0 * side], -1))
    t.key("pelvis_turn", (0, None)).add("pelvis_turn", np.stack([3 * bounce, 14 * side, 7 * side], -1))
    t.key("spine", (0, None)).add("spine", np.stack([4 * bounce, -22 * side, -11 * side], -1))
    t.add("head", np.stack([8 * bounce, 8 * side, 4 * side], -1))
    for s, sign in (("l", 1.0), ("r", -1.0)):
        # The unweighted heel lifts.
        free = np.clip(-sign * side, 0, 1)
        t.key(f"foot_turn_{s}", (0, (0, 14))).add(f"foot_turn_{s}", np.stack([34 * free, 0 * free], -1))
        lift = 0.5 + 0.5 * sign * side
        t.controls[f"hand_{s}"] = np.stack([0.16 + 0.08 * lift, -0.25 + 0.42 * t.size * lift, 0.22 + 0.05 * bounce], -1)
        t.key(f"elbow_{s}", (0, (0.9, -0.7, -0.2)))


def climb(t: Take) -> None:
    """Hand over hand up a ladder, on the spot."""
    hz = t.vary(0.7)
    turn = 2 * np.pi * hz * t.time
    t.key("pelvis", (0, (0, -0.10, -0.10)))
    t.key("spine", (0, (6, 0, 0))).key("head", (0, (-18, 0, 0)))
    for s, sign in (("l", 1.0), ("r", -1.0)):
        up = 0.5 + 0.5 * sign * np.sin(turn)
        moving = np.clip(sign * np.cos(turn), 0, 1)
        t.controls[f"hand_{s}"] = np.stack([0.0 + 0 * up, 0.10 + 0.30 * up, 0.30 - 0.07 * moving], -1)
        t.key(f"elbow_{s}", (0, (0.9, -0.8, 0))).key(f"palm_{s}", (0, (0, -0.2, 1))).key(f"fingers_{s}", (0, (0, 0.9, 0.2)))
        step = 0.5 - 0.5 * sign * np.sin(turn)
        t.controls[f"foot_{s}"] = np.stack([0.03 + 0 * step, 0.34 * step, 0.12 - 0.08 * np.clip(-sign * np.cos(turn), 0, 1)], -1)
        t.key(f"foot_turn_{s}", (0, (4, 8)))
    t.swing("pelvis", (0.03, 0.02, 0), hz).swing("spine", (0, 6, 4), hz)


def spin(t: Take) -> None:
    """Turns once and more on the spot with the arms out, in small steps."""
    turns = t.vary(400, 0.1)
    whole = t.frames / 30 / t.tempo
    u = np.clip((t.time - 0.25) / (whole - 0.5), 0, 1)
    heading = turns * (u * u * (3 - 2 * u))
    speed = np.gradient(heading) * 30
    fast = np.clip(np.abs(speed) / 150, 0, 1)
    t.controls["heading"] = heading[:, None]
    steps = max(3, round(turns / 50))
    for s, shift in (("l", 0.0), ("r", 0.5)):
        # Each foot stands while the body turns over it, then steps ahead of it.
        at = heading / turns * steps + shift
        phase = at - np.floor(at)
        swing = np.clip((phase - 0.5) / 0.5, 0, 1)
        back = np.where(phase < 0.5, 0.5 - 2 * phase, -0.5 + (swing * swing * (3 - 2 * swing)))
        lag = back * turns / steps * 0.5
        lag = lag - lag[0] * np.clip(1 - t.time / 0.3, 0, 1)
        sign = 1.0 if s == "l" else -1.0
        angle = np.radians(lag)
        # The ball of the standing foot, seen from the turning body.
        x = sign * 0.115 * np.cos(angle) + 0.14 * np.sin(angle)
        z = -sign * 0.115 * np.sin(angle) + 0.14 * np.cos(angle)
        t.controls[f"foot_{s}"] = np.stack([sign * x - 0.094, 0.1 * np.sin(np.pi * swing) ** 0.6 * fast, z - 0.14], -1)
        t.key(f"foot_turn_{s}", (0, (0, 6))).add(f"foot_turn_{s}", np.stack([10 * np.sin(np.pi * swing) * fast, sign * lag], -1))
    t.key("pelvis", (0, (0, -0.03, 0)))
    out = (0.44, -0.02, 0.12)
    t.key("hand_lr", (0, None), (0.7, out), (whole - 0.6, out), (whole, None))
    t.key("elbow_lr", (0, (0.2, -0.6, -0.8)))
    t.add("head", np.stack([0 * u, 22 * fast, 0 * u], -1)).add("spine", np.stack([0 * u, 10 * fast, 0 * u], -1))


def walk_in_place(t: Take) -> None:
    """Marches on the spot."""
    hz = t.vary(0.95)
    turn = 2 * np.pi * hz * t.time
    for s, sign in (("l", 1.0), ("r", -1.0)):
        lift = np.clip(sign * np.sin(turn), 0, 1) ** 1.2
        t.controls[f"foot_{s}"] = np.stack([0 * lift, 0.25 * t.size * lift, 0.04 * lift], -1)
        t.controls[f"foot_turn_{s}"] = np.stack([32 * lift, 7 + 0 * lift], -1)
        swing = -sign * np.sin(turn - 0.15)
        t.controls[f"hand_{s}"] = np.stack([0.06 + 0 * swing, -0.43 + 0.05 * np.abs(swing), 0.05 + 0.20 * swing], -1)
        t.key(f"elbow_{s}", (0, (0.25, -0.4, -1)))
    t.key("pelvis", (0, (0, -0.015, 0))).add("pelvis", np.stack([-0.035 * np.sin(turn), 0.012 * np.cos(2 * turn), 0 * turn], -1))
    t.swing("pelvis_turn", (0, 5, -3), hz).swing("spine", (0, -9, 4), hz)


def run_in_place(t: Take) -> None:
    """Runs on the spot."""
    hz = t.vary(1.45, 0.08)
    turn = 2 * np.pi * hz * t.time
    for s, sign in (("l", 1.0), ("r", -1.0)):
        lift = np.clip(0.25 + sign * np.sin(turn), 0, 2) / 1.25
        t.controls[f"foot_{s}"] = np.stack([-0.02 + 0 * lift, 0.36 * t.size * lift**1.3, -0.10 * lift], -1)
        t.controls[f"foot_turn_{s}"] = np.stack([8 + 40 * lift, 6 + 0 * lift], -1)
        swing = -sign * np.sin(turn - 0.1)
        t.controls[f"hand_{s}"] = np.stack([-0.02 + 0 * swing, -0.24 + 0.07 * swing, 0.17 + 0.17 * swing], -1)
        t.key(f"elbow_{s}", (0, (0.3, -0.5, -1)))
        t.key(f"palm_{s}", (0, (-1, 0, 0)))
    t.key("pelvis", (0, (0, -0.02, 0))).add("pelvis", np.stack([-0.015 * np.sin(turn), -0.035 * np.cos(2 * turn), 0 * turn], -1))
    t.key("spine", (0, (7, 0, 0))).swing("pelvis_turn", (0, 7, -2), hz).swing("spine", (0, -14, 3), hz)
