"""Blows, kicks and guards: fast, with the hips leading and the feet under the body."""

import numpy as np

from motiongen.procedural.take import Number, Take

_GUARD_LEAD = (-0.08, 0.05, 0.26)
_GUARD_REAR = (-0.10, 0.03, 0.19)


def _fighter(t: Take) -> None:
    """A boxer's stance, left side ahead, bouncing."""
    t.key("foot_l", (0, (0.05, 0, 0.16))).key("foot_r", (0, (0.08, 0, -0.18))).key("foot_turn_l", (0, (0, -8))).key(
        "foot_turn_r", (0, (22, 42))
    )
    t.key("pelvis", (0, (0, -0.075, -0.01))).key("pelvis_turn", (0, (4, -26, 0))).key("spine", (0, (9, -8, 0))).key(
        "head", (0, (3, 30, 0))
    )
    t.key("hand_l", (0, t.jitter(_GUARD_LEAD, 0.015))).key("hand_r", (0, t.jitter(_GUARD_REAR, 0.015)))
    t.key("elbow_lr", (0, (0.25, -1, 0.0))).key("palm_lr", (0, (-0.9, 0, -0.3))).key("fingers_lr", (0, (0, 0.25, 0.2)))
    t.swing("pelvis", (0, 0.012, 0.006), t.vary(2.0))


def _spike(t: Take, at: Number, out: Number, hold: Number, back: Number) -> np.ndarray:
    """0 to 1 within `out` seconds before `at`, 1 for `hold`, back to 0 over `back`; times in real seconds. [t]."""
    time = t.time * t.tempo
    rise = np.clip((time - (at - out)) / out, 0, 1)
    fall = np.clip((time - at - hold) / back, 0, 1)
    return rise**2 * (3 - 2 * rise) * (1 - fall**2 * (3 - 2 * fall))


def _blow(t: Take, side: str, at: Number, cross: bool, height: Number = -0.03) -> None:
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
    t.controls[f"palm_{side}"] = palm + hit * (np.array([-0.6, -0.7, 0]) - palm)
    fingers = t.controls[f"fingers_{side}"]
    t.controls[f"fingers_{side}"] = fingers * (1 - hit)
    # Hips turn a little before the hand lands, the chest with it, the head stays on the target.
    lead = _spike(t, at - 0.03, 0.2, 0.06, 0.3)[:, None] - 0.35 * cock
    turn = (24.0, 26.0) if cross else (-8.0, -14.0)
    t.add("pelvis_turn", lead * [[0, turn[0], 0]]).add("spine", lead * [[3, turn[1], 0]]).add(
        "head", lead * [[0, -0.85 * sum(turn), 0]]
    )
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
        t.add("pelvis_turn", hit * [[0, 26, 0]] - dip * [[0, 8, 0]]).add(
            "spine", hit * [[-6, 24, -4]] + dip * [[6, -10, 6]]
        )
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


def front_kick(t: Take) -> None:
    """The right knee comes up, the foot snaps forward at waist height."""
    _fighter(t)
    at, far = 1.0, 0.52 * t.size
    t.key(
        "foot_r",
        (0, (0.08, 0, -0.18)),
        (0.55, (0.08, 0, -0.18)),
        (0.8, (-0.03, 0.42, 0.14)),
        (at, (-0.05, 0.80, far + 0.16)),
        (at + 0.06, (-0.05, 0.80, far + 0.16)),
        (at + 0.3, (-0.03, 0.40, 0.12)),
        (at + 0.65, (0.08, 0, -0.16)),
        (at + 1.4, (0.08, 0, -0.18)),
    )
    t.key(
        "foot_turn_r",
        (0, (22, 42)),
        (0.55, (34, 30)),
        (0.8, (30, 5)),
        (at, (-30, 5)),
        (at + 0.06, (-30, 5)),
        (at + 0.3, (25, 5)),
        (at + 0.65, (20, 40)),
    )
    t.key(
        "pelvis",
        (0, (0, -0.075, -0.01)),
        (0.5, (0.06, -0.06, 0.05)),
        (at, (0.085, -0.035, 0.10)),
        (at + 0.3, (0.075, -0.05, 0.08)),
        (at + 0.8, (0, -0.075, -0.01)),
    )
    t.key(
        "pelvis_turn",
        (0, (4, -26, 0)),
        (0.7, (-4, -8, 0)),
        (at, (-20, 8, 0)),
        (at + 0.3, (-6, -8, 0)),
        (at + 0.8, (4, -26, 0)),
    )
    t.key("spine", (0, (9, -8, 0)), (at, (-2, -14, 0)), (at + 0.8, (9, -8, 0)))
    t.key("head", (0, (3, 30, 0)), (at, (12, 6, 0)), (at + 0.8, (3, 30, 0)))


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
    t.key(
        "pelvis",
        (0, (0, -0.07, 0.05)),
        (0.65, (0, -0.05, 0.0)),
        (0.9, (0, -0.11, 0.1)),
        (1.85, (0, -0.05, 0.02)),
        (2.1, (0, -0.11, 0.1)),
        (3, (0, -0.07, 0.05)),
    )
