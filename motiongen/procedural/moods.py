"""How people feel, and what their whole body does about it; also push-ups, on the floor."""

import numpy as np

from motiongen.procedural.take import Take

_TOES_BACK = 1.01
_ANKLE = (0.13, -0.85)  # height and place along z of the ankles in a push-up, metres
_TO_PELVIS, _TO_SHOULDERS = 0.875, 1.29  # from the ankles along a straight body


def shiver(t: Take) -> None:
    """Arms around the body, everything trembles."""
    t.key("foot_lr", (0, (-0.01, 0, 0))).key("knee_lr", (0, (0.0,)))
    hold = (-0.19, -0.20, t.vary(0.17, 0.06))
    t.key("hand_lr", (0, hold)).add("hand_l", np.tile((0.0, 0.05, 0.04), (t.frames, 1)))
    t.key("elbow_lr", (0, (0.6, -1, -0.1)))
    t.key("fingers_lr", (0, (-0.9, 0.4, 0.2))).key("palm_lr", (0, (-0.3, 0, -1)))
    t.key("collar_lr", (0, (12, 8))).key("spine", (0, (14, 0, 0))).key("head", (0, (16, 0, 0)))
    t.key("pelvis", (0, (0, -0.03, -0.01))).key("pelvis_turn", (0, (4, 0, 0)))
    hz = t.vary(6.5, 0.1)
    t.swing("hand_lr", (0.004, 0.012, 0.006), hz, phase=0.2)
    t.swing("spine", (0.9, 1.4, 0.5), hz).swing("head", (1.0, 1.8, 0.6), hz, phase=0.4)
    t.swing("pelvis", (0.004, 0.004, 0), hz, phase=0.1)
    t.swing("spine", (4, 0, 0), t.vary(0.6))


def dizzy(t: Take) -> None:
    """The trunk goes round, a hand at the head, a knee gives way."""
    t.key("foot_l", (0, (0.08, 0, 0.02))).key("foot_r", (0, (0.07, 0, -0.02)))
    t.key("hand_r", (0, None), (0.5, (-0.03, 0.12, 0.2)), (3.4, (-0.03, 0.12, 0.2)))
    t.key("face_r", (0, (0,)), (0.5, (1,)), (3.4, (1,)))
    t.key("elbow_r", (0, None), (0.5, (0.9, -0.4, 0.1)), (3.4, (0.9, -0.4, 0.1)))
    t.key("hand_l", (0, None), (0.6, (0.26, -0.34, 0.16)), (3.4, (0.26, -0.34, 0.16)))
    hz, wide = t.vary(0.55, 0.15), 13 * t.size
    t.key("spine", (0, (8, 0, 0))).key("head", (0, (6, 0, 0)))
    t.swing("spine", (wide, 0, 0), hz, phase=0.25, ramp=0.2).swing("spine", (0, 4, wide), hz, ramp=0.2)
    t.swing("head", (9, 0, 0), hz, phase=0.1).swing("head", (0, 5, 8), hz, phase=0.85)
    t.swing("pelvis", (0.07, 0, 0), hz, phase=0.5).swing("pelvis", (0, -0.02, 0.03), 2 * hz)


def tired(t: Take) -> None:
    """Shoulders and head hang, the breath goes deep."""
    t.key("foot_lr", (0, (0.05, 0, 0)))
    t.key("pelvis", (0, (0, -0.03, 0.0)), (3, (0.015, -0.045, 0))).key("pelvis_turn", (0, (9, 0, 0)))
    t.key("spine", (0, (26, 0, 0)), (3.2, (32, 0, 0))).key("head", (0, (16, 4, 0)), (3.2, (24, -4, 3)))
    t.key("collar_lr", (0, (-6, 14))).key("hand_lr", (0, (0.05, -0.46, 0.16)))
    t.key("elbow_lr", (0, (0.5, -0.4, -0.8)))
    hz = t.vary(0.55)
    t.swing("spine", (-4.5, 0, 0), hz).swing("collar_lr", (5, 0), hz).swing("hand_lr", (0, 0.012, 0), hz)
    t.swing("head", (0, 9, 0), t.vary(0.3), phase=0.2)


def bend_over(t: Take) -> None:
    """The trunk goes down until the hands reach for the toes, and up again."""
    t.key("foot_lr", (0, (0.03, 0, 0)))
    down, up = 1.1, t.vary(2.1, 0.05)
    deep = t.vary(72, 0.08)
    t.key("pelvis", (0, None), (down, (0, -0.05, -0.13)), (up, (0, -0.05, -0.13)), (3.2, None))
    t.key("pelvis_turn", (0, None), (down, (deep, 0, 0)), (up, (deep, 0, 0)), (3.2, None))
    t.key("spine", (0, None), (down, (42, 0, 0)), (up, (42, 0, 0)), (3.2, None))
    t.key("head", (0, None), (down, (14, 0, 0)), (up, (14, 0, 0)), (3.2, None))
    reach = (-0.06, 0.10, 0.48)
    t.key("hand_lr", (0, None), (down, reach), (up, reach), (3.2, None))
    t.key("elbow_lr", (0, None), (down, (1, -0.4, 0)), (up, (1, -0.4, 0)), (3.2, None))
    t.swing("pelvis_turn", (2.5, 0, 0), 1.6, down, up)


def crouch(t: Take) -> None:
    """Down on bent knees, hands before the body, looking about."""
    low = (0.0, t.vary(-0.42, 0.06), -0.06)
    t.key("foot_l", (0, (0.06, 0, 0.10))).key("foot_r", (0, (0.06, 0, -0.10)))
    t.key("foot_turn_r", (0, (0, 9)), (0.7, (30, 9)), (2.6, (30, 9)), (3.2, (0, 9)))
    t.key("knee_lr", (0, (0.25,)))
    t.key("pelvis", (0, None), (0.7, low), (2.6, low), (3.2, None))
    t.key("pelvis_turn", (0, None), (0.7, (24, 0, 0)), (2.6, (24, 0, 0)), (3.2, None))
    t.key("spine", (0, None), (0.7, (22, 0, 0)), (2.6, (22, 0, 0)), (3.2, None))
    t.key("hand_lr", (0, None), (0.7, (-0.03, -0.22, 0.30)), (2.6, (-0.03, -0.22, 0.30)), (3.2, None))
    t.key("elbow_lr", (0, None), (0.7, (0.8, -0.7, -0.1)), (2.6, (0.8, -0.7, -0.1)), (3.2, None))
    t.key("head", (0, None), (0.7, (-26, 0, 0)), (1.2, (-24, 28, 0)), (1.9, (-24, -28, 0)), (2.6, (-26, 0, 0)))


def laugh(t: Take) -> None:
    """The shoulders shake, the head goes back, a hand on the belly."""
    t.key("foot_lr", (0, (0.03, 0, 0)))
    t.key("hand_r", (0, None), (0.5, (-0.15, -0.30, 0.17)), (3.2, (-0.15, -0.30, 0.17)))
    t.key("palm_r", (0, None), (0.5, (-0.3, 0, -1)), (3.2, (-0.3, 0, -1)))
    t.key("elbow_r", (0, None), (0.5, (0.9, -0.6, 0)), (3.2, (0.9, -0.6, 0)))
    t.key("spine", (0, None), (0.5, (-6, 0, 0)), (1.5, (14, 0, 0)), (2.3, (-4, 0, 0)), (3.2, (8, 0, 0)))
    t.key("head", (0, None), (0.5, (-16, 0, 0)), (1.5, (10, 0, 0)), (2.3, (-14, 6, 0)), (3.2, (4, 0, 0)))
    hz = t.vary(4.2, 0.1)
    t.swing("collar_lr", (7, 0), hz, 0.3).swing("spine", (2.4, 0, 0), hz, 0.3).swing("head", (2.5, 0, 0), hz, 0.3)
    t.swing("hand_lr", (0, 0.008, 0), hz, 0.3).swing("pelvis", (0, 0.004, 0), hz, 0.3)


def push_up(t: Take) -> None:
    """A straight body on hands and toes goes down and up."""
    hz = 0.5 / t.vary(0.62, 0.12)
    depth = 0.5 - 0.5 * np.cos(2 * np.pi * hz * t.time)
    height = 0.50 - t.vary(0.25, 0.1) * depth  # of the shoulders
    slope = np.arcsin((height - _ANKLE[0]) / _TO_SHOULDERS)
    along, rise = np.cos(slope), np.sin(slope)
    zero = np.zeros(t.frames)
    t.add("pelvis", np.stack([zero, _ANKLE[0] + _TO_PELVIS * rise - 0.952 + 0.008, _ANKLE[1] + _TO_PELVIS * along], -1))
    t.add("pelvis_turn", np.stack([90.0 - np.degrees(slope), zero, zero], -1))
    t.key("foot_lr", (0, (0.02, 0, -_TOES_BACK))).key("foot_turn_lr", (0, (72, 0))).key("knee_lr", (0, (0.0,)))
    # Wrists stay where they are on the floor: from the shoulder straight down, told in the chest's turned frame.
    down, ahead = 0.065 - height, _ANKLE[1] + _TO_SHOULDERS - 0.03 - (_ANKLE[1] + _TO_SHOULDERS * along)
    hand = np.stack([zero + 0.07, down * rise + ahead * along, -down * along + ahead * rise], -1)
    t.key("hand_lr", (0, (0, 0, 0))).add("hand_lr", hand)
    t.key("elbow_lr", (0, (0.9, -0.5, -0.4)))
    t.key("fingers_lr", (0, (0, 1, 0.1))).key("palm_lr", (0, (0, 0.1, 1)))
    t.key("head", (0, (-24, 0, 0)))
