"""What people say with their hands and heads, standing."""

from motiongen.procedural.take import Number, Take

CHEST = -0.165  # `out` that brings a wrist next to the body's middle
_OPEN = (0.16, -0.30, 0.25)


def _stance(t: Take, width: Number = 0.02, turn: Number = 0.0) -> None:
    t.key("foot_l", (0, (t.vary(width, 0.3), 0, 0.0))).key("foot_r", (0, (t.vary(width, 0.3), 0, 0.0)))
    if turn:
        t.key("pelvis_turn", (0, (0, turn, 0)))


def wave(t: Take) -> None:
    """The right hand goes up and waves."""
    _stance(t)
    up = t.jitter((0.20, 0.15 * t.size, 0.17), 0.025)
    t.key("hand_r", (0, None), (0.5, up), (2.4, up), (2.95, None))
    t.key("elbow_r", (0, None), (0.5, (0.7, -0.8, -0.1)), (2.4, (0.7, -0.8, -0.1)), (2.95, None))
    t.key("fingers_r", (0, None), (0.45, (0, 1, 0.1)), (2.4, (0, 1, 0.1)), (2.9, None))
    t.key("palm_r", (0, None), (0.45, (-0.1, 0, 1)), (2.4, (-0.1, 0, 1)), (2.9, None))
    hz = t.vary(1.9, 0.2)
    t.swing("hand_r", (0.10 * t.size, -0.02, 0), hz, 0.4, 2.55)
    t.swing("fingers_r", (0.5, 0, 0), hz, 0.4, 2.55, phase=-0.09)
    t.swing("spine", (0, 0, 1.2), hz, 0.4, 2.5)
    t.key("head", (0, None), (0.6, (0, -6, -5)), (2.4, (0, -6, -5)), (2.95, None))
    t.key("pelvis", (0, None), (0.6, (0.02, -0.008, 0)), (2.4, (0.02, -0.008, 0)), (3, None))


def wave_both(t: Take) -> None:
    """Both arms swing overhead."""
    _stance(t, 0.06)
    up = (0.12, 0.42 * min(t.size, 1.0), 0.06)
    t.key("hand_lr", (0, None), (0.6, up), (2.5, up), (3.1, None))
    t.key("elbow_lr", (0, None), (0.6, (1, 0.2, 0.0)), (2.5, (1, 0.2, 0.0)), (3.1, None))
    t.key("palm_lr", (0, None), (0.6, (0, 0, 1)), (2.5, (0, 0, 1)), (3.1, None))
    hz = t.vary(1.3)
    t.swing("hand_l", (0.14, -0.03, 0), hz, 0.4, 2.7).swing("hand_r", (0.14, -0.03, 0), hz, 0.4, 2.7)
    t.swing("pelvis", (0.0, 0.012, 0), 2 * hz, 0.4, 2.7)
    t.key("head", (0, None), (0.6, (-8, 0, 0)), (2.5, (-8, 0, 0)), (3.1, None))


def clap(t: Take) -> None:
    """The hands meet in front of the chest again and again."""
    _stance(t)
    ready = (-0.115, -0.10 * t.size, 0.27)
    t.key("hand_lr", (0, None), (0.4, ready), (2.6, ready), (3.1, None))
    t.key("elbow_lr", (0, None), (0.4, (0.8, -0.8, -0.2)), (2.6, (0.8, -0.8, -0.2)), (3.1, None))
    t.key("fingers_lr", (0, None), (0.4, (-0.15, 0.5, 0.85)), (2.6, (-0.15, 0.5, 0.85)), (3.1, None))
    t.key("palm_lr", (0, None), (0.4, (-1, 0.1, 0.1)), (2.6, (-1, 0.1, 0.1)), (3.1, None))
    hz = t.vary(2.6, 0.15)
    t.swing("hand_lr", (0.048, 0.006, 0.0), hz, 0.3, 2.75, phase=0.25, ramp=0.2, sharp=0.2)
    t.swing("pelvis", (0, 0.004, 0), hz, 0.3, 2.7)
    t.swing("head", (1.6, 0, 0), hz, 0.3, 2.7)


def pray(t: Take) -> None:
    """Palms together in front of the chest, the head bowed."""
    _stance(t, -0.02)
    hold = (-0.15, -0.13, t.vary(0.2, 0.08))
    t.key("hand_lr", (0, None), (0.8, hold), (3.2, hold))
    t.key("elbow_lr", (0, None), (0.8, (1, -0.55, -0.1)), (3.2, (1, -0.55, -0.1)))
    t.key("fingers_lr", (0, None), (0.7, (-0.08, 1, 0.35)), (3.2, (-0.08, 1, 0.35)))
    t.key("palm_lr", (0, None), (0.7, (-1, 0, 0)), (3.2, (-1, 0, 0)))
    t.key("head", (0, None), (1.0, (20, 0, 0)), (3.2, (24, 0, 0)))
    t.key("spine", (0, None), (1.0, (6, 0, 0)), (3.2, (7, 0, 0)))
    t.swing("hand_lr", (0, 0.008, 0.01), t.vary(0.5), 0.8)


def point(t: Take) -> None:
    """The right arm stretches out to point ahead."""
    _stance(t, turn=t.vary(6, 0.5))
    there = (t.generator.uniform(-0.12, 0.1), 0.02, 0.55)
    t.key("hand_r", (0, None), (0.25, (0.06, -0.3, 0.15)), (0.6, there), (2.1, there), (2.7, None))
    t.key("elbow_r", (0, None), (0.6, (0.5, -1, 0)), (2.1, (0.5, -1, 0)), (2.7, None))
    t.key("palm_r", (0, None), (0.6, (-0.7, -0.7, 0)), (2.1, (-0.7, -0.7, 0)), (2.7, None))
    t.key("spine", (0, None), (0.6, (4, 12, 0)), (2.1, (4, 12, 0)), (2.7, None))
    t.key("head", (0, None), (0.5, (0, -14, 0)), (2.1, (0, -14, 0)), (2.7, None))
    t.pulse("hand_r", (0, 0.01, 0.012), 1.2, 0.2).pulse("hand_r", (0, 0.01, 0.012), 1.6, 0.2)


def shrug(t: Take) -> None:
    """Shoulders up, palms up, head aside."""
    _stance(t)
    out = (0.26 * t.size, -0.24, 0.20)
    for rise, fall in ((0.35, 1.5), (1.8, 2.5)):
        t.add("collar_lr", 24 * t.envelope(rise - 0.1, fall, 0.3)[:, None] * [[1.0, 0.25]])
    t.key("hand_lr", (0, None), (0.5, out), (1.4, out), (1.75, (0.2, -0.3, 0.16)), (2.05, out), (2.4, out), (3.0, None))
    t.key("elbow_lr", (0, None), (0.5, (0.15, -1, -0.45)), (2.4, (0.15, -1, -0.45)), (3, None))
    t.key("palm_lr", (0, None), (0.5, (0.1, 1, 0.3)), (2.4, (0.1, 1, 0.3)), (3, None))
    t.key("fingers_lr", (0, None), (0.5, (0.8, 0.1, 0.6)), (2.4, (0.8, 0.1, 0.6)), (3, None))
    t.key("head", (0, None), (0.5, (2, 0, 10)), (1.4, (2, 0, 10)), (2.0, (2, 8, -6)), (2.4, (2, 8, -6)), (3.0, None))


def argue(t: Take) -> None:
    """Hands chop and open while leaning in."""
    _stance(t, 0.04)
    t.key("hand_r", (0, None), (0.35, (0.06, -0.12, 0.30)), (3.2, (0.06, -0.14, 0.30)))
    t.key("hand_l", (0, None), (0.5, _OPEN), (1.5, (0.04, -0.12, 0.28)), (2.2, _OPEN), (3.2, (0.1, -0.2, 0.28)))
    t.key("elbow_lr", (0, None), (0.4, (0.6, -1, -0.3)))
    t.key("fingers_r", (0, None), (0.35, (-0.1, 0.3, 0.9)))
    t.key("palm_r", (0, None), (0.35, (-1, 0.1, 0)))
    t.key("fingers_l", (0, None), (0.5, (0.2, 0.2, 0.9)))
    t.key("palm_l", (0, None), (0.5, (-0.4, 0.9, 0)))
    hz = t.vary(1.5, 0.2)
    t.swing("hand_r", (0.03, 0.10 * t.size, 0.05), hz, 0.3, sharp=0.5)
    t.swing("hand_l", (0.05, 0.07 * t.size, 0.04), hz * 0.75, 0.5, phase=0.3, sharp=0.3)
    t.swing("head", (5, 3, 3), hz, 0.2, phase=0.1, sharp=0.3)
    t.swing("spine", (3, 5, 0), hz / 2, 0.2)
    t.add("spine", 7 * t.envelope(0.1, 9, 0.5)[:, None] * [[1.0, 0, 0]])
    t.key(
        "pelvis",
        (0, None),
        (0.6, (0, -0.012, 0.025)),
        (1.6, (0.015, -0.012, 0.0)),
        (2.4, (-0.01, -0.012, 0.03)),
        (3.2, (0, -0.01, 0.01)),
    )


def raise_arms(t: Take) -> None:
    """Both arms go straight up and come down."""
    _stance(t, 0.04)
    up = (0.03, 0.54, 0.02)
    t.key("hand_lr", (0, None), (0.4, (0.32, -0.2, 0.22)), (0.9, up), (2.2, up), (2.6, (0.36, -0.1, 0.15)), (3.1, None))
    t.key("elbow_lr", (0, None), (0.9, (1, 0, 0.1)), (2.2, (1, 0, 0.1)), (3.1, None))
    t.key("palm_lr", (0, None), (0.9, (-0.5, 0, 0.8)), (2.2, (-0.5, 0, 0.8)), (3.1, None))
    t.key("head", (0, None), (0.9, (-12, 0, 0)), (2.2, (-12, 0, 0)), (3.1, None))
    t.key("spine", (0, None), (0.9, (-6, 0, 0)), (2.2, (-6, 0, 0)), (3.1, None))
    t.pulse("pelvis", (0, 0.01, 0), 0.9, 0.4)


def cheer(t: Take) -> None:
    """Fists pump overhead while bouncing on the toes."""
    _stance(t, 0.07)
    t.key("hand_lr", (0, None), (0.45, (0.14, 0.36, 0.10)), (2.8, (0.14, 0.36, 0.10)))
    t.key("elbow_lr", (0, None), (0.45, (1, -0.3, 0.2)))
    hz = t.vary(1.8)
    t.swing("hand_lr", (0.05, 0.16 * t.size, 0.06), hz, 0.3, sharp=0.2)
    t.swing("pelvis", (0, 0.04, 0), hz, 0.2, phase=-0.05)
    t.swing("spine", (5, 0, 0), hz, 0.3, phase=0.1)
    t.add("pelvis", -0.03 * t.envelope(0.1, 9, 0.3)[:, None] * [[0, 1.0, 0]])
    t.swing("head", (5, 6, 0), hz, 0.3)
    t.add("head", -12 * t.envelope(0.2, 9, 0.4)[:, None] * [[1.0, 0, 0]])


def nod(t: Take) -> None:
    """The head says yes."""
    _stance(t)
    t.swing("head", (t.vary(13), 0, 0), t.vary(1.7), 0.25, 2.2, sharp=0.1)
    t.swing("spine", (1.5, 0, 0), 1.7, 0.3, 2.2)


def shake_head(t: Take) -> None:
    """The head says no."""
    _stance(t)
    t.swing("head", (0, t.vary(26), 0), t.vary(1.5), 0.25, 2.4)
    t.swing("spine", (0, 3, 0), 1.5, 0.3, 2.4, phase=0.1)
    t.add("head", 5 * t.envelope(0.1, 2.5, 0.4)[:, None] * [[1.0, 0, 0]])


def bow(t: Take) -> None:
    """A deep bow from the hips and up again."""
    _stance(t, -0.02)
    deep = t.vary(46)
    t.key("pelvis_turn", (0, None), (1.1, (deep * 0.62, 0, 0)), (1.9, (deep * 0.62, 0, 0)), (3.0, None))
    t.key("pelvis", (0, None), (1.1, (0, -0.02, -0.12)), (1.9, (0, -0.02, -0.12)), (3.0, None))
    t.key("spine", (0, None), (1.1, (deep * 0.55, 0, 0)), (1.9, (deep * 0.55, 0, 0)), (3.0, None))
    t.key("head", (0, None), (1.1, (12, 0, 0)), (1.9, (12, 0, 0)), (3.0, None))
    t.key("hand_lr", (0, None), (1.1, (0.0, -0.44, 0.18)), (1.9, (0.0, -0.44, 0.18)), (3.0, None))


def salute(t: Take) -> None:
    """The right hand goes to the brow."""
    _stance(t, -0.03)
    brow = (-0.045, 0.235, 0.145)
    t.key("hand_r", (0, None), (0.45, brow), (2.0, brow), (2.5, None))
    t.key("face_r", (0, (0,)), (0.45, (1,)), (2.0, (1,)), (2.5, (0,)))
    t.key("elbow_r", (0, None), (0.45, (1, -0.2, 0.25)), (2.0, (1, -0.2, 0.25)), (2.5, None))
    t.key("fingers_r", (0, None), (0.45, (-0.85, 0.45, 0)), (2.0, (-0.85, 0.45, 0)), (2.5, None))
    t.key("palm_r", (0, None), (0.45, (0, -0.8, 0.6)), (2.0, (0, -0.8, 0.6)), (2.5, None))
    t.key("spine", (0, None), (0.4, (-3, 0, 0)), (2.0, (-3, 0, 0)), (2.5, None))
    t.key("head", (0, None), (0.4, (-2, 0, 0)), (2.0, (-2, 0, 0)), (2.5, None))


def think(t: Take) -> None:
    """The right hand at the chin, the left arm under its elbow."""
    _stance(t)
    chin = (-0.12, 0.045, 0.19)
    t.key("hand_r", (0, None), (0.7, chin), (3.2, chin))
    t.key("face_r", (0, (0,)), (0.7, (0.8,)), (3.2, (0.8,)))
    t.key("elbow_r", (0, None), (0.7, (0.1, -1, 0.15)), (3.2, (0.1, -1, 0.15)))
    t.key("fingers_r", (0, None), (0.7, (-0.25, 0.85, -0.1)), (3.2, (-0.25, 0.85, -0.1)))
    t.key("palm_r", (0, None), (0.7, (-0.5, 0, -0.8)), (3.2, (-0.5, 0, -0.8)))
    t.key("hand_l", (0, None), (0.7, (-0.24, -0.24, 0.20)), (3.2, (-0.24, -0.24, 0.20)))
    t.key("elbow_l", (0, None), (0.7, (0.8, -1, -0.3)))
    t.key("palm_l", (0, None), (0.7, (0, 0.3, -0.9)), (3.2, (0, 0.3, -0.9)))
    t.key("head", (0, None), (0.8, (8, 6, 4)), (1.7, (-8, 12, 6)), (2.6, (-6, -10, 5)), (3.2, (6, 0, 4)))
    t.key("pelvis", (0, None), (1.0, (0.025, -0.01, 0)), (3.2, (0.02, -0.01, 0)))


def cross_arms(t: Take) -> None:
    """Arms folded in front of the chest."""
    _stance(t, 0.05)
    t.key("hand_r", (0, None), (0.8, (-0.27, -0.17, 0.20)), (3, (-0.27, -0.17, 0.20)))
    t.key("hand_l", (0, None), (0.8, (-0.25, -0.21, 0.17)), (3, (-0.25, -0.21, 0.17)))
    t.key("elbow_lr", (0, None), (0.8, (1, -0.7, 0.0)), (3, (1, -0.7, 0.0)))
    t.key("fingers_r", (0, None), (0.8, (-1, 0.3, -0.2)), (3, (-1, 0.3, -0.2)))
    t.key("fingers_l", (0, None), (0.8, (-1, -0.2, -0.3)), (3, (-1, -0.2, -0.3)))
    t.key("palm_lr", (0, None), (0.8, (0, 0, -1)), (3, (0, 0, -1)))
    t.key("head", (0, None), (1.5, (3, 12, 0)), (2.4, (3, -10, 0)), (3, (3, 0, 0)))


def hands_on_hips(t: Take) -> None:
    """Both hands on the hips, elbows out."""
    _stance(t, 0.06)
    t.key("hand_lr", (0, None), (0.6, (0.0, -0.37, 0.05)), (3, (0.0, -0.37, 0.05)))
    t.key("elbow_lr", (0, None), (0.6, (1, 0, -0.25)), (3, (1, 0, -0.25)))
    t.key("fingers_lr", (0, None), (0.6, (-0.4, -0.5, 0.7)), (3, (-0.4, -0.5, 0.7)))
    t.key("palm_lr", (0, None), (0.6, (-0.9, -0.3, 0)), (3, (-0.9, -0.3, 0)))
    t.key("head", (0, None), (1.2, (0, 14, 0)), (2.2, (0, -12, 0)), (3, None))


def cry(t: Take) -> None:
    """Face in the hands, shoulders shaking."""
    _stance(t, -0.01)
    face = (-0.115, 0.09, 0.165)
    t.key("hand_lr", (0, None), (0.7, face), (3.3, face))
    t.key("face_lr", (0, (0,)), (0.7, (1,)), (3.3, (1,)))
    t.key("elbow_lr", (0, None), (0.7, (0.45, -1, 0.2)), (3.3, (0.45, -1, 0.2)))
    t.key("fingers_lr", (0, None), (0.7, (-0.2, 1, 0)), (3.3, (-0.2, 1, 0)))
    t.key("palm_lr", (0, None), (0.7, (-0.25, 0, -1)), (3.3, (-0.25, 0, -1)))
    t.key("head", (0, None), (0.9, (24, 0, 0)), (3.3, (27, 0, 0)))
    t.key("spine", (0, None), (0.9, (16, 0, 0)), (3.3, (20, 0, 0)))
    t.key("pelvis", (0, None), (0.9, (0, -0.03, -0.02)), (3.3, (0, -0.04, -0.025)))
    hz = t.vary(2.6)
    t.swing("collar_lr", (6, 3), hz, 0.7, sharp=0.2)
    t.swing("spine", (2.2, 0, 0), hz, 0.7)


def hug(t: Take) -> None:
    """Both arms close around someone in front."""
    _stance(t)
    wide, closed = (0.2, -0.06, 0.36), (-0.15, -0.06, 0.34)
    t.key("hand_lr", (0, None), (0.7, wide), (1.3, closed), (2.5, closed), (2.9, (0.1, -0.15, 0.32)), (3.3, None))
    t.key("elbow_lr", (0, None), (0.7, (1, -0.5, 0)), (2.5, (1, -0.4, 0.1)), (3.3, None))
    t.key(
        "fingers_lr", (0, None), (0.7, (0.3, 0.1, 0.9)), (1.3, (-0.9, 0.1, -0.2)), (2.5, (-0.9, 0.1, -0.2)), (3.3, None)
    )
    t.key("palm_lr", (0, None), (0.7, (-0.9, 0, 0.3)), (1.3, (-0.2, 0, -1)), (2.5, (-0.2, 0, -1)), (3.3, None))
    t.key("spine", (0, None), (1.3, (9, 0, 0)), (2.5, (9, 0, 0)), (3.3, None))
    t.key("pelvis", (0, None), (1.3, (0, -0.01, 0.04)), (2.5, (0, -0.01, 0.04)), (3.3, None))
    t.key("head", (0, None), (1.3, (4, 18, 8)), (2.5, (4, 18, 8)), (3.3, None))
    t.swing("spine", (0, 3, 1.5), 0.9, 1.3, 2.5)


def beckon(t: Take) -> None:
    """The right hand calls someone near."""
    _stance(t)
    reach = (0.04, -0.10, 0.36)
    t.key("hand_r", (0, None), (0.45, reach), (2.4, reach), (3.0, None))
    t.key("elbow_r", (0, None), (0.45, (0.4, -1, 0)), (2.4, (0.4, -1, 0)), (3.0, None))
    t.key("palm_r", (0, None), (0.4, (-0.1, 0.9, -0.4)), (2.4, (-0.1, 0.9, -0.4)), (3, None))
    t.key("fingers_r", (0, None), (0.4, (0, 0.3, 0.9)), (2.4, (0, 0.3, 0.9)), (3, None))
    t.swing("hand_r", (0, 0.055, -0.075), t.vary(1.6), 0.4, 2.5, sharp=0.2)
    t.swing("fingers_r", (0, 0.5, -0.5), 1.6, 0.4, 2.5, phase=-0.1)
    t.swing("head", (4, 0, 0), 1.6, 0.4, 2.5)


def stretch(t: Take) -> None:
    """Arms up and out, arching the back."""
    _stance(t, 0.05)
    t.key(
        "hand_lr",
        (0, None),
        (0.4, (0.26, 0.05, 0.22)),
        (0.9, (-0.06, 0.47, 0.04)),
        (1.7, (-0.04, 0.48, 0.0)),
        (2.4, (0.40, 0.12, -0.1)),
        (3.2, None),
    )
    t.key(
        "elbow_lr",
        (0, None),
        (0.4, (1, -0.4, 0)),
        (0.9, (1, 0, 0.3)),
        (1.7, (1, 0, 0.3)),
        (2.4, (0.6, -0.9, -0.3)),
        (3.2, None),
    )
    t.key("spine", (0, None), (1.2, (-16, 0, 0)), (1.8, (-17, 0, 0)), (2.5, (-4, 0, 0)), (3.2, None))
    t.key("head", (0, None), (1.2, (-16, 0, 4)), (1.8, (-16, 0, -4)), (2.6, (4, 0, 0)), (3.2, None))
    t.key("pelvis", (0, None), (1.2, (0, 0, 0.03)), (1.8, (0, 0, 0.03)), (3.2, None))


def stand(t: Take) -> None:
    """Stands and breathes."""
    _stance(t, t.generator.uniform(-0.02, 0.05))
    t.alive(0.4)


def look_around(t: Take) -> None:
    """Looks left and right."""
    _stance(t)
    t.key(
        "head", (0, None), (0.7, (-3, 48, 0)), (1.3, (-3, 50, 0)), (2.1, (-3, -48, 0)), (2.7, (-3, -50, 0)), (3.4, None)
    )
    t.key("spine", (0, None), (0.8, (0, 16, 0)), (1.3, (0, 16, 0)), (2.2, (0, -16, 0)), (2.7, (0, -16, 0)), (3.4, None))


def thumbs_up(t: Take) -> None:
    """The right fist comes forward, thumb up."""
    _stance(t)
    front = (0.02, -0.12, 0.36)
    t.key("hand_r", (0, None), (0.5, front), (2.0, front), (2.6, None))
    t.key("elbow_r", (0, None), (0.5, (0.5, -1, 0)), (2.0, (0.5, -1, 0)), (2.6, None))
    t.key("palm_r", (0, None), (0.5, (-1, 0, 0)), (2.0, (-1, 0, 0)), (2.6, None))
    t.pulse("hand_r", (0, 0.0, 0.04), 0.7, 0.25)
    t.pulse("head", (9, 0, 0), 0.8, 0.35)
