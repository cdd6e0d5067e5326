"""Eating, working, playing instruments, sitting and resting."""

import numpy as np

from motiongen.procedural.take import Number, Take

_SEAT = -0.40  # how far the pelvis goes down onto a chair
_MOUTH = (-0.11, 0.12, 0.22)


def _sit(t: Take, down: Number = 0.0) -> None:
    """Puts the pelvis on a chair: at once, or over `down` seconds."""
    seat, lean = (0.0, _SEAT, -0.36), (-6.0, 0.0, 0.0)
    if down <= 0:
        t.key("pelvis", (0, seat)).key("pelvis_turn", (0, lean))
    else:
        t.key("pelvis", (0, None), (0.45 * down, (0, -0.14, -0.13)), (down, seat), (down + 9, seat))
        t.key("pelvis_turn", (0, None), (0.5 * down, (26, 0, 0)), (down, lean), (down + 9, lean))
        t.key("spine", (0, None), (0.5 * down, (20, 0, 0)), (down + 0.2, (3, 0, 0)), (down + 9, (3, 0, 0)))
        t.key("head", (0, None), (0.5 * down, (-14, 0, 0)), (down + 0.2, None), (down + 9, None))
    t.key("foot_lr", (0, (0.03, 0, 0.0))).key("knee_lr", (0, (0.12,)))


_LAP = (-0.01, -0.36, 0.27)


def sit_idle(t: Take) -> None:
    """Sits on a chair, hands on the thighs."""
    _sit(t)
    t.key("hand_lr", (0, _LAP))
    t.key("palm_lr", (0, (0, -1, 0)))
    t.key("head", (0, None), (1.0, (2, 14, 0)), (2.0, (4, -12, 2)), (3.0, None))


def sit_down(t: Take) -> None:
    """Sits down on a chair and rests."""
    _sit(t, 1.3)
    t.key("hand_lr", (0, None), (0.6, (0.06, -0.40, 0.24)), (1.5, _LAP), (9, _LAP))
    t.key("palm_lr", (0, None), (1.5, (0, -1, 0)), (9, (0, -1, 0)))


def stand_up(t: Take) -> None:
    """Rises from a chair."""
    sit_down(t)
    for name in ("pelvis", "pelvis_turn", "spine", "head", "hand_l", "hand_r", "palm_l", "palm_r"):
        t.controls[name] = t.controls[name][::-1].copy()


def eat(t: Take) -> None:
    """The right hand carries bites from a plate to the mouth; the left holds the plate."""
    if t.generator.uniform() < 0.5:
        _sit(t)
    plate, mouth = (-0.09, -0.25, 0.29), t.jitter(_MOUTH, 0.008)
    cycle = t.vary(1.25, 0.1)
    keys: list[tuple[float, tuple[float, ...] | None]] = [(0, plate)]
    faces: list[tuple[float, tuple[float, ...]]] = [(0, (0.0,))]
    fingers: list[tuple[float, tuple[float, ...]]] = [(0, (-0.2, -0.3, 0.9))]
    start = 0.25
    while start + cycle < 3.9:
        keys += [(start, plate), (start + 0.42 * cycle, mouth), (start + 0.6 * cycle, mouth), (start + cycle, plate)]
        faces += [
            (start, (0.0,)),
            (start + 0.42 * cycle, (1.0,)),
            (start + 0.6 * cycle, (1.0,)),
            (start + cycle, (0.0,)),
        ]
        fingers += [
            (start + 0.42 * cycle, (-0.5, 0.55, -0.65)),
            (start + 0.6 * cycle, (-0.5, 0.55, -0.65)),
            (start + cycle, (-0.2, -0.3, 0.9)),
        ]
        t.pulse("head", (10, 0, 0), start + 0.48 * cycle, 0.4)
        t.pulse("spine", (5, 0, 0), start + 0.48 * cycle, 0.5)
        start += cycle + 0.1
    t.key("hand_r", *_rising(keys)).key("face_r", *_rising(faces)).key("fingers_r", *_rising(fingers))
    t.key("elbow_r", (0, (0.55, -0.9, 0.1)))
    t.key("palm_r", (0, (-0.5, 0.2, -0.6)))
    t.key("hand_l", (0, (-0.02, -0.27, 0.24))).key("fingers_l", (0, (-0.6, 0, 0.7))).key("palm_l", (0, (0, 1, 0)))
    t.add("head", np.full((t.frames, 1), 10.0) * [[1.0, 0, 0]])
    t.swing("head", (0.8, 0, 0), 2.4)


def _rising(keys: list) -> list:
    kept = [keys[0]]
    for key in keys[1:]:
        if key[0] > kept[-1][0] + 1e-3:
            kept.append(key)
    return kept


def drink(t: Take) -> None:
    """The right hand lifts a cup, tilts it with the head, and lowers it."""
    cup, mouth = (0.0, -0.23, 0.28), (-0.045, -0.005, 0.18)
    t.key("hand_r", (0, None), (0.4, cup), (1.0, mouth), (2.3, mouth), (2.9, cup), (3.4, None))
    t.key("face_r", (0, (0,)), (0.4, (0,)), (1.0, (1,)), (2.3, (1,)), (2.9, (0,)))
    t.key(
        "elbow_r",
        (0, None),
        (0.4, (0.5, -1, 0)),
        (1.0, (0.8, -0.75, 0.2)),
        (2.3, (0.9, -0.45, 0.25)),
        (2.9, (0.5, -1, 0)),
        (3.4, None),
    )
    t.key(
        "fingers_r",
        (0, None),
        (0.4, (-0.5, 0.1, 0.8)),
        (1.0, (-0.9, 0.1, -0.05)),
        (2.3, (-0.9, 0.25, -0.05)),
        (2.9, (-0.5, 0.1, 0.8)),
        (3.4, None),
    )
    t.key(
        "palm_r",
        (0, None),
        (0.4, (-0.8, 0, 0.2)),
        (1.0, (-0.1, 0.1, -1)),
        (2.3, (-0.1, 0.1, -1)),
        (2.9, (-0.8, 0, 0.2)),
        (3.4, None),
    )
    t.key("head", (0, None), (0.8, None), (1.4, (-22, 0, 0)), (2.2, (-30, 0, 0)), (2.7, None), (3.4, None))
    t.key("spine", (0, None), (0.8, None), (1.5, (-5, 0, 0)), (2.2, (-7, 0, 0)), (2.8, None), (3.4, None))


def type_keys(t: Take) -> None:
    """Sits and types on a keyboard."""
    _sit(t)
    t.key("hand_lr", (0, (-0.075, -0.215, 0.33))).key("elbow_lr", (0, (0.55, -1, -0.2)))
    t.key("fingers_lr", (0, (-0.2, -0.05, 1))).key("palm_lr", (0, (0, -1, 0)))
    for side, hz in (("l", 4.3), ("r", 5.1)):
        t.swing(f"hand_{side}", (0.006, 0.011, 0.004), t.vary(hz), phase=float(t.generator.uniform()))
        t.swing(f"hand_{side}", (0.022, 0, 0.008), t.vary(0.8), phase=float(t.generator.uniform()))
        t.swing(f"fingers_{side}", (0, 0.16, 0), t.vary(hz))
    t.key("head", (0, (14, 0, 0)), (1.2, (15, 5, 0)), (1.8, (4, 0, 0)), (2.4, (5, -5, 0)), (3.2, (14, 0, 0)))
    t.add("spine", np.full((t.frames, 1), 7.0) * [[1.0, 0, 0]])


def piano(t: Take) -> None:
    """Sits and plays the piano."""
    _sit(t)
    hz = t.vary(1.0)
    t.key("hand_lr", (0, (0.0, -0.20, 0.35))).key("elbow_lr", (0, (0.8, -1, -0.2)))
    t.key("fingers_lr", (0, (-0.1, -0.15, 1))).key("palm_lr", (0, (0, -1, 0)))
    t.swing("hand_l", (0.09, 0, 0), hz / 2, phase=0.2).swing("hand_r", (0.12, 0, 0), hz / 2)
    t.swing("hand_l", (0, 0.035, 0), 2 * hz, sharp=0.2).swing("hand_r", (0, 0.035, 0), 3 * hz, phase=0.3, sharp=0.2)
    t.swing("spine", (5, 0, 3), hz / 2).swing("head", (7, 6, 0), hz)
    t.add("spine", np.full((t.frames, 1), 8.0) * [[1.0, 0, 0]])


def guitar(t: Take) -> None:
    """Stands and strums a guitar: left hand at the neck, right hand over the strings."""
    t.key("hand_l", (0, (0.16, -0.12, 0.27))).key("elbow_l", (0, (0.6, -1, 0)))
    t.key("fingers_l", (0, (-0.3, 0.4, 0.2))).key("palm_l", (0, (-0.2, 0.4, -0.9)))
    t.key("hand_r", (0, (-0.03, -0.31, 0.20))).key("elbow_r", (0, (1, -0.2, -0.3)))
    t.key("fingers_r", (0, (-0.8, -0.5, 0.1))).key("palm_r", (0, (0, 0, -1)))
    hz = t.vary(2.1)
    t.swing("hand_r", (0.02, 0.065 * t.size, 0.0), hz, sharp=0.2)
    t.swing("fingers_r", (0, 0.3, 0), hz, phase=-0.1)
    t.swing("hand_l", (0.05, 0.025, 0), hz / 8, sharp=0.6)
    t.swing("head", (7, 0, 2), hz / 2, sharp=0.1).swing("pelvis", (0.02, 0.004, 0), hz / 4)
    t.swing("spine", (2, 3, 2), hz / 4)
    t.key("foot_l", (0, (0.06, 0, 0.04))).key("foot_r", (0, (0.06, 0, -0.04)))


def drums(t: Take) -> None:
    """Sits and drums with both hands."""
    _sit(t)
    t.key("hand_lr", (0, (0.0, -0.20, 0.32))).key("elbow_lr", (0, (0.9, -0.8, -0.2)))
    t.key("palm_lr", (0, (-0.3, -0.9, 0))).key("fingers_lr", (0, (-0.2, 0.05, 0.95)))
    hz = t.vary(2.0)
    t.swing("hand_l", (0, 0.085, 0.01), hz, phase=0.5, sharp=0.3).swing("hand_r", (0, 0.085, 0.01), hz, sharp=0.3)
    t.swing("fingers_l", (0, 0.4, 0), hz, phase=0.4).swing("fingers_r", (0, 0.4, 0), hz, phase=-0.1)
    t.swing("head", (6, 0, 0), hz).swing("spine", (3, 6, 0), hz / 4)


def phone(t: Take) -> None:
    """Holds a phone to the right ear and talks."""
    ear = (-0.03, 0.15, 0.135)
    t.key("hand_r", (0, None), (0.7, ear), (9, ear)).key("face_r", (0, (0,)), (0.7, (1,)), (9, (1,)))
    t.key("elbow_r", (0, None), (0.7, (0.75, -0.8, 0.2)), (9, (0.75, -0.8, 0.2)))
    t.key("fingers_r", (0, None), (0.7, (-0.25, 0.8, -0.5)), (9, (-0.25, 0.8, -0.5)))
    t.key("palm_r", (0, None), (0.7, (-1, 0, -0.1)), (9, (-1, 0, -0.1)))
    t.key("head", (0, None), (0.8, (6, 0, 8)), (1.6, (2, 16, 8)), (2.5, (8, -8, 8)), (3.3, (4, 4, 8)))
    t.key("hand_l", (0, None), (1.3, None), (1.8, (0.1, -0.27, 0.24)), (2.4, (0.16, -0.30, 0.2)), (3.2, None))
    t.key("palm_l", (0, None), (1.8, (-0.2, 0.9, 0)), (2.4, (-0.2, 0.9, 0)), (3.2, None))


def read_book(t: Take) -> None:
    """Holds a book in both hands and reads."""
    t.key("hand_lr", (0, None), (0.7, (-0.045, -0.16, 0.27)), (9, (-0.045, -0.16, 0.27)))
    t.key("elbow_lr", (0, None), (0.7, (0.5, -1, 0)), (9, (0.5, -1, 0)))
    t.key("fingers_lr", (0, None), (0.7, (-0.5, 0.3, 0.7)), (9, (-0.5, 0.3, 0.7)))
    t.key("palm_lr", (0, None), (0.7, (-0.4, 0.8, -0.5)), (9, (-0.4, 0.8, -0.5)))
    t.key(
        "head",
        (0, None),
        (0.8, (24, 8, 0)),
        (1.5, (24, -8, 0)),
        (1.7, (25, 8, 0)),
        (2.5, (26, -8, 0)),
        (9, (26, -8, 0)),
    )
    t.pulse("hand_r", (0.05, 0.05, -0.02), 2.5, 0.3)


def brush_teeth(t: Take) -> None:
    """The right hand brushes in front of the mouth."""
    mouth = (-0.07, 0.10, 0.20)
    t.key("hand_r", (0, None), (0.6, mouth), (9, mouth)).key("face_r", (0, (0,)), (0.6, (1,)), (9, (1,)))
    t.key("elbow_r", (0, None), (0.6, (1, -0.25, 0.2)), (9, (1, -0.25, 0.2)))
    t.key("fingers_r", (0, None), (0.6, (-0.9, 0.2, -0.1)), (9, (-0.9, 0.2, -0.1)))
    t.key("palm_r", (0, None), (0.6, (0, 0, -1)), (9, (0, 0, -1)))
    t.swing("hand_r", (0.028, 0.004, 0), t.vary(3.6), 0.5).swing("head", (0.5, 2.5, 0), 3.6, 0.5)


def comb_hair(t: Take) -> None:
    """The right hand strokes over the head."""
    top, back = (-0.10, 0.33, 0.16), (-0.03, 0.31, 0.03)
    t.key(
        "hand_r",
        (0, None),
        (0.6, top),
        (1.1, back),
        (1.4, (-0.05, 0.36, 0.14)),
        (1.7, top),
        (2.2, back),
        (2.6, top),
        (3.1, back),
        (3.7, None),
    )
    t.key("face_r", (0, (0,)), (0.6, (1,)), (3.1, (1,)), (3.7, (0,)))
    t.key(
        "elbow_r",
        (0, None),
        (0.35, (1, -0.5, 0.2)),
        (0.6, (1, -0.15, 0.4)),
        (3.1, (1, -0.15, 0.4)),
        (3.4, (1, -0.5, 0.1)),
        (3.7, None),
    )
    t.key("fingers_r", (0, None), (0.6, (-0.55, 0.25, -0.35)), (3.1, (-0.55, 0.25, -0.35)), (3.7, None))
    t.key("palm_r", (0, None), (0.6, (-0.3, -0.6, -0.3)), (3.1, (-0.3, -0.6, -0.3)), (3.7, None))
    t.key("head", (0, None), (0.7, (6, 0, -5)), (3.1, (6, 0, -5)), (3.7, None))


def hammer(t: Take) -> None:
    """The right hand hammers something at waist height, the left holds it."""
    up, down = (0.1, 0.16 * t.size, 0.16), (0.0, -0.24, 0.35)
    keys = [(0, down)]
    at = 0.15
    while at < 3.2:
        keys += [(at + 0.38, up), (at + 0.56, down), (at + 0.7, (0.0, -0.21, 0.34))]
        t.pulse("spine", (7, 5, 0), at + 0.58, 0.25)
        t.pulse("pelvis", (0, -0.015, 0), at + 0.58, 0.25)
        at += 0.8
    t.key("hand_r", *keys).key("elbow_r", (0, (0.8, -0.6, -0.3)))
    t.key("palm_r", (0, (-1, 0, 0)))
    t.key("hand_l", (0, (0.0, -0.27, 0.33))).key("palm_l", (0, (-0.6, -0.6, 0)))
    t.key("head", (0, (16, -4, 0))).key("foot_l", (0, (0.04, 0, 0.1))).key("foot_r", (0, (0.05, 0, -0.08)))
    t.add("spine", np.full((t.frames, 1), 9.0) * [[1.0, 0, 0]])


def sweep(t: Take) -> None:
    """Sweeps the floor with a broom held in both hands."""
    hz = t.vary(0.75)
    t.key("hand_l", (0, (-0.10, -0.17, 0.28))).key("hand_r", (0, (0.0, -0.36, 0.27)))
    t.key("palm_lr", (0, (-0.8, 0.1, 0.2))).key("elbow_lr", (0, (0.8, -0.8, -0.3)))
    t.swing("hand_r", (0.15 * t.size, 0, 0.05), hz).swing("hand_l", (-0.03, 0.01, 0.02), hz)
    t.swing("spine", (2, -13, 4), hz).swing("pelvis_turn", (0, -7, 0), hz, phase=0.05)
    t.key("head", (0, (22, 0, 0))).swing("head", (0, -6, 0), hz)
    t.add("spine", np.full((t.frames, 1), 14.0) * [[1.0, 0, 0]])
    t.key("foot_l", (0, (0.05, 0, 0.12))).key("foot_r", (0, (0.05, 0, -0.08)))


def pick_up(t: Take) -> None:
    """Bends the knees, takes something from the floor with both hands, and lifts it."""
    low = (0.0, -0.36, -0.16)
    t.key("pelvis", (0, None), (0.9, low), (1.3, low), (2.2, None)).key(
        "pelvis_turn", (0, None), (0.9, (34, 0, 0)), (1.3, (34, 0, 0)), (2.2, None)
    )
    t.key("spine", (0, None), (0.9, (38, 0, 0)), (1.3, (38, 0, 0)), (2.2, (-3, 0, 0)), (3, (-3, 0, 0)))
    hold = (-0.03, -0.28, 0.28)
    t.key("hand_lr", (0, None), (0.9, (0.0, -0.40, 0.24)), (1.3, (-0.03, -0.40, 0.24)), (2.2, hold), (3, hold))
    t.key("palm_lr", (0, None), (0.9, (-1, 0.2, 0)), (3, (-1, 0.5, 0)))
    t.key("head", (0, None), (0.8, (4, 0, 0)), (1.3, (4, 0, 0)), (2.2, None))
    t.key("foot_lr", (0, (0.08, 0, 0))).key("knee_lr", (0, (0.35,)))
