"""Exercises, dance and steps on the spot."""

import numpy as np

from motiongen.procedural.take import Take


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
    t.key(
        "foot_r",
        (0, (0.02, 0, 0)),
        (0.2, (0.02, 0, 0)),
        (0.6, (0.03, 0.1, 0.4)),
        (0.95, (0.03, 0, 0.72)),
        (2.0, (0.03, 0, 0.72)),
        (2.4, (0.03, 0.1, 0.3)),
        (2.8, (0.02, 0, 0)),
    )
    t.key("foot_turn_r", (0, (0, 6)), (0.8, (-12, 6)), (1.0, (0, 6)), (2.0, (0, 6)), (2.15, (14, 6)), (2.8, (0, 6)))
    t.key("foot_turn_l", (0, (0, 6)), (0.6, (10, 6)), (1.3, (52, 4)), (1.8, (52, 4)), (2.4, (10, 6)), (2.7, (0, 6)))
    t.key(
        "pelvis",
        (0, None),
        (0.9, (0.02, -0.13, 0.32)),
        (1.4, (0, -0.36, 0.36)),
        (1.8, (0, -0.36, 0.36)),
        (2.3, (0.02, -0.1, 0.2)),
        (2.8, None),
    )
    t.key("hand_lr", (0, None), (1.0, (0.08, -0.36, 0.06)))
    t.key("elbow_lr", (0, None), (1.0, (1, -0.3, -0.5)))


def jumping_jack(t: Take) -> None:
    """Feet jump apart and together while the arms go up and down."""
    hz = t.vary(1.05)
    phase = (t.time * hz) % 1.0
    apart = 0.5 - 0.5 * np.tanh(2 * np.cos(2 * np.pi * phase)) / np.tanh(2)
    hop = np.abs(np.sin(2 * np.pi * phase)) ** 0.8
    t.key("foot_lr", (0, (0.0, 0, 0))).add("foot_lr", np.stack([0.26 * apart, 0.085 * hop, 0 * hop], -1))
    t.key("pelvis", (0, (0, -0.035, 0))).add("pelvis", np.stack([0 * hop, 0.09 * hop - 0.05 * apart, 0 * hop], -1))
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
        t.key(f"elbow_{s}", (0, (0.9, -0.8, 0))).key(f"palm_{s}", (0, (0, -0.2, 1))).key(
            f"fingers_{s}", (0, (0, 0.9, 0.2))
        )
        step = 0.5 - 0.5 * sign * np.sin(turn)
        t.controls[f"foot_{s}"] = np.stack(
            [0.03 + 0 * step, 0.34 * step, 0.12 - 0.08 * np.clip(-sign * np.cos(turn), 0, 1)], -1
        )
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
        t.key(f"foot_turn_{s}", (0, (0, 6))).add(
            f"foot_turn_{s}", np.stack([10 * np.sin(np.pi * swing) * fast, sign * lag], -1)
        )
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
    t.key("pelvis", (0, (0, -0.015, 0))).add(
        "pelvis", np.stack([-0.035 * np.sin(turn), 0.012 * np.cos(2 * turn), 0 * turn], -1)
    )
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
    t.key("pelvis", (0, (0, -0.02, 0))).add(
        "pelvis", np.stack([-0.015 * np.sin(turn), -0.035 * np.cos(2 * turn), 0 * turn], -1)
    )
    t.key("spine", (0, (7, 0, 0))).swing("pelvis_turn", (0, 7, -2), hz).swing("spine", (0, -14, 3), hz)
