"""Hats, hair and beards as solids around a measured head."""

import numpy as np
from scipy.spatial import KDTree

from avatargen.implicit.figure import Figure
from avatargen.implicit.shapes import Points, Values, capsules, cut, ellipse, join, meet, ramp, soft_join
from avatargen.implicit.worn import Piece

_STRANDS = 34
_HEIGHTS = {"curly": 0.16, "spiky": 0.09, "ponytail": 0.065, "bun": 0.065, "buns": 0.065, "pigtails": 0.07}
"""Thickness of hair over the scalp, in head heights."""


def hair(points: Points, figure: Figure, piece: Piece) -> Values:
    """Hair of a style; with `length` it falls from the ears towards the waist."""
    style, unit = piece.style, figure.head
    if piece.flat:
        solid = _shell(points, figure, 0.045 * unit, 0.14 * unit)
    elif style == "afro":
        return _afro(points, figure)
    elif style == "mohawk":
        ridge = _shell(points, figure, 0.36 * unit, 0.10 * unit)
        return meet(ridge, np.abs(points[:, 0]) - 0.07 * unit)
    else:
        height = _HEIGHTS.get(style, 0.10)
        solid = _shell(points, figure, height * unit, 0.14 * unit) + _texture(points, figure, style)
        if style == "spiky":
            solid = soft_join(solid, _spikes(points, figure), 0.012)
        elif style in ("bun", "buns"):
            side, size = (0.0, 0.22) if style == "bun" else (0.42, 0.19)
            solid = soft_join(solid, _ball(points, figure, side * unit, size * unit), 0.01)
    if style == "ponytail":
        solid = soft_join(solid, _tail(points, figure, piece.length), 0.015)
    elif style == "pigtails":
        solid = soft_join(solid, _pigtails(points, figure, piece.length), 0.012)
    elif piece.length > 0.05 and style in ("short", "curly", "spiky"):
        solid = soft_join(solid, _curtain(points, figure, piece.length, style), 0.02)
    return solid


def beard(points: Points, figure: Figure, piece: Piece) -> Values:
    """A beard, goatee or moustache."""
    unit, lips, chin = figure.head, figure.lips, figure.chin
    if piece.style == "moustache":
        return _moustache(points, figure)
    below = figure.face[(figure.face[:, 1] < lips[1] + 0.02 * unit)]
    below = below[np.linalg.norm(below - lips, axis=1) > 0.11 * unit]
    if piece.style == "chin":
        below = below[np.abs(below[:, 0]) < 0.16 * unit]
    else:
        # Along the jaw up to the ears.
        jaw = figure.face
        side = np.abs(jaw[:, 0]) > 0.27 * unit
        # In front of the ears.
        front = jaw[:, 2] > figure.joint("head")[2] + 0.20 * unit
        jaw = jaw[side & front & (jaw[:, 1] < figure.eyes[1] - 0.10 * unit) & (jaw[:, 2] < lips[2] - 0.2 * unit)]
        below = np.concatenate([below, jaw])
    thick = 0.035 * unit + 0.05 * unit * min(piece.length, 0.5)
    solid = KDTree(below).query(points)[0] - thick + 0.006 * unit * np.cos(points[:, 0] * 260)
    drop = piece.length * 1.1 * unit
    if piece.length > 0.2:
        start = chin + np.array([0.0, 0.10 * unit, -0.06 * unit])
        end = chin + np.array([0.0, -drop, 0.02 * unit])
        flat = (points - start) * np.array([0.8, 1.0, 1.6]) + start
        radii = np.array([0.24, 0.22, 0.06]) * unit
        tail = capsules(flat, np.stack([start, 0.5 * (start + end), end]), radii) / 1.6
        solid = soft_join(solid, tail + 0.006 * unit * np.cos(points[:, 0] * 220), 0.02)
    solid = join(solid, _moustache(points, figure)) if piece.style == "full" else solid
    return cut(solid, np.linalg.norm((points - lips) * np.array([0.75, 1.7, 1.0]), axis=1) - 0.10 * unit)


def hat(points: Points, figure: Figure, piece: Piece) -> Values:
    """A hat of a style on the crown of the head."""
    style, unit = piece.style, figure.head
    if style in ("close", "turban", "hood", "helmet", "brimmed helmet", "closed helmet", "bubble"):
        return _close(points, figure, style)
    base = figure.brows[1] + 0.16 * unit
    a, b, middle = figure.head_ring(base)
    a, b = a + 0.045 * unit, b + 0.045 * unit
    up, x, z = points[:, 1] - base, points[:, 0], points[:, 2] - middle
    top = figure.crown - base
    if style == "pointed":
        tall = top + 1.15 * unit
        share = np.clip(up / tall, 0.0, 1.0)
        bent = z + 0.22 * unit * share**2
        cone = ellipse(x, bent, a * (1.03 - share) + 0.01, b * (1.03 - share) + 0.01) * 0.85
        return join(meet(cone, -up - 0.01, up - tall), _brim(points, figure, base, 0.42 * unit, 0.10))
    if style == "top":
        tall = top + 0.55 * unit
        wide = 1.0 + 0.10 * np.clip(up / tall, 0, 1) ** 2
        tube = meet(ellipse(x, z, a * wide, b * wide), -up - 0.01, up - tall)
        return join(tube, _brim(points, figure, base, 0.22 * unit, 0.9))
    if style in ("bowler", "cowboy", "straw"):
        tall = top + (0.30 if style == "cowboy" else 0.10) * unit
        share = np.clip(up / tall, 0.0, 1.0)
        power = 4.0 if style == "cowboy" else 2.6
        round_ = (1.0 - share**power) ** (1.0 / power) + 0.02
        dome = meet(ellipse(x, z, a * round_, b * round_) * 0.7, -up - 0.01, up - tall)
        if style == "cowboy":  # a crease along the top
            dome = cut(dome, np.hypot(x, up - tall - 0.03 * unit) - 0.12 * unit)
        wide, curl = {"bowler": (0.16, 0.9), "cowboy": (0.42, 1.6), "straw": (0.62, -0.15)}[style]
        return join(dome, _brim(points, figure, base, wide * unit, curl))
    if style == "cap":
        shell = meet(_shell(points, figure, 0.09 * unit, 0.02), -up)
        visor = meet(
            ellipse(x, z - 0.55 * b, 0.78 * a, b + 0.12 * unit),
            np.abs(up - 0.02 + 0.9 * np.clip(z - b, 0, 1) ** 1.0 * 0.25) - 0.007,
            -(z - 0.6 * b),
        )
        return join(shell, visor)
    if style == "toque":
        tall = top + 0.62 * unit
        puff = ramp(up, 0.30 * tall, 0.75 * tall)
        folds = 1.0 + 0.05 * puff * np.cos(9 * np.arctan2(x, z))
        wide = (
            (1.0 + 0.34 * puff) * folds * np.sqrt(np.clip(1.0 - np.clip((up / tall - 0.7) / 0.32, 0, 1) ** 2, 0.02, 1))
        )
        return meet(ellipse(x, z, a * wide, b * wide) * 0.8, -up - 0.01, up - tall)
    if style == "beret":
        lean = up - 0.25 * x - 0.10 * unit
        disc = np.linalg.norm(np.stack([x / 1.35, lean * 2.6, z / 1.25], 1), axis=1) - a
        return join(disc / 2.6, meet(_shell(points, figure, 0.06 * unit, 0.02), -up))
    # A crown: a band with points, hollow.
    turn = np.arctan2(x, z)
    points_up = 0.20 * unit + 0.14 * unit * np.abs(np.cos(4.0 * turn)) ** 1.5
    band = np.abs(ellipse(x, z, a + 0.012, b + 0.012)) - 0.006
    return meet(band, -up, up - points_up)


def _close(points: Points, figure: Figure, style: str) -> Values:
    """What lies close around the head: cloth or metal."""
    unit, eyes = figure.head, figure.eyes
    if style == "close":
        base = figure.brows[1] + 0.14 * unit
        return meet(_shell(points, figure, 0.075 * unit, 0.02), base - 0.25 * (eyes[2] - points[:, 2]) - points[:, 1])
    if style == "turban":
        base = figure.brows[1] + 0.10 * unit
        rolls = 0.022 * unit * np.cos(70 * (points[:, 1] + 0.35 * points[:, 0]))
        return meet(_shell(points, figure, 0.20 * unit, 0.02) + rolls, base - points[:, 1])
    whole = np.concatenate([figure.scalp, figure.face])
    window = np.stack([points[:, 0], points[:, 1] - (0.55 * eyes[1] + 0.45 * figure.lips[1]), points[:, 2]], 1)
    front = -(points[:, 2] - (eyes[2] - 0.42 * unit))
    if style == "bubble":
        middle = np.array([0.0, 0.5 * (figure.crown + figure.chin[1]) - 0.02, figure.joint("head")[2] + 0.06 * unit])
        ball = np.linalg.norm((points - middle) * np.array([1.0, 0.95, 0.95]), axis=1) - 0.80 * unit
        opening = np.linalg.norm(window[:, :2] * np.array([1.0, 1.05]), axis=1) - 0.46 * unit
        return cut(ball, meet(opening, front))
    if style in ("helmet", "brimmed helmet"):
        base = figure.brows[1] + 0.06 * unit
        drop = 0.9 * np.clip(eyes[2] - 0.15 * unit - points[:, 2], 0.0, 0.35 * unit)
        shell = meet(_shell(points, figure, 0.12 * unit, 0.02), base - drop - points[:, 1])
        if style == "helmet":
            return shell
        height = base + 0.02
        return join(shell, _brim(points, figure, height, 0.22 * unit, -0.2), _crest(points, figure))
    shell = KDTree(whole).query(points)[0] - (0.14 if style == "closed helmet" else 0.10) * unit
    if style == "closed helmet":
        slit = meet(np.abs(window[:, 0]) - 0.30 * unit, np.abs(points[:, 1] - eyes[1]) - 0.085 * unit, front)
        mouth = meet(np.abs(window[:, 0]) - 0.03 * unit, points[:, 1] - eyes[1], front)
        solid = cut(join(shell, _neck(points, figure, 0.11 * unit)), join(slit, mouth))
        return join(solid, _crest(points, figure))
    opening = np.hypot(window[:, 0] / 0.78, window[:, 1]) - 0.50 * unit
    return cut(soft_join(shell, _neck(points, figure, 0.10 * unit), 0.03), meet(opening, front))


def _shell(points: Points, figure: Figure, thick: float, edge: float) -> Values:
    """Everything within `thick` of the scalp, thinner within `edge` of the hairline."""
    distance, near = KDTree(figure.scalp).query(points)
    share = np.sqrt(np.clip(figure.scalp_edge[near] / edge, 0.12, 1.0))
    return distance - thick * share


def _texture(points: Points, figure: Figure, style: str) -> Values:
    unit = figure.head
    if style == "curly":
        return 0.022 * unit * np.cos(95 * points).prod(1) * 2.0
    around = np.arctan2(points[:, 0], points[:, 2] - figure.joint("head")[2])
    return 0.009 * unit * np.cos(_STRANDS * around + 14.0 * (points[:, 1] - figure.crown) / unit)


def _spikes(points: Points, figure: Figure) -> Values:
    unit, solid = figure.head, np.full(len(points), np.inf)
    middle = np.array([0.0, figure.crown - 0.5 * unit, figure.joint("head")[2]])
    count, tree = 26, KDTree(figure.scalp)
    for i in range(count):
        height = 0.05 + 0.93 * (i + 0.5) / count
        turn = 2.399963 * i
        flat = np.sqrt(1.0 - height**2)
        way = np.array([flat * np.sin(turn), height, flat * np.cos(turn)])
        root = figure.scalp[tree.query(middle + unit * way)[1]]
        tip = root + unit * 0.42 * (way + np.array([0.0, 0.35, -0.25]))
        solid = np.minimum(solid, capsules(points, np.stack([root - 0.02 * way, tip]), np.array([0.13, 0.008]) * unit))
    return solid


def _tail(points: Points, figure: Figure, length: float) -> Values:
    unit = figure.head
    back = float(figure.scalp[:, 2].min())
    end = _fall(figure, length)
    behind = float(figure.rear(np.array([end]), 0.12)[0]) - 0.2 * unit
    places = np.array([
        [0.0, figure.crown - 0.22 * unit, back + 0.10 * unit],
        [0.0, figure.crown - 0.30 * unit, back - 0.20 * unit],
        [0.0, 0.5 * (figure.chin[1] + end), min(back, behind) - 0.06 * unit],
        [0.0, end, behind],
    ])  # fmt: skip
    wave = 0.012 * unit * np.cos(40 * points[:, 0] / unit)
    return capsules(points, places, np.array([0.10, 0.15, 0.15, 0.03]) * unit) + wave


def _ball(points: Points, figure: Figure, side: float, radius: float) -> Values:
    back = float(figure.scalp[:, 2].min())
    high, deep = figure.crown - (0.02 if side else -0.01), 0.5 * (back + figure.joint("head")[2])
    away = np.abs(points[:, 0]) - side
    offset = np.stack([away, points[:, 1] - high, points[:, 2] - deep], 1)
    swirl = 0.012 * figure.head * np.cos(14 * np.arctan2(offset[:, 1], offset[:, 2] + 1e-9))
    return np.linalg.norm(offset, axis=1) - radius + swirl


def _pigtails(points: Points, figure: Figure, length: float) -> Values:
    unit = figure.head
    a, _, middle = figure.head_ring(figure.eyes[1])
    chest = figure.joint("spine3")
    end = max(_fall(figure, length), chest[1] - 0.05)
    front = float(max(figure.trunk[np.abs(figure.trunk[:, 1] - end) < 0.05][:, 2].max(initial=0.0), 0.0))
    mirrored = points * np.array([1.0, 1.0, 1.0])
    mirrored[:, 0] = np.abs(mirrored[:, 0])
    places = np.array([
        [a - 0.02 * unit, figure.eyes[1] + 0.05 * unit, middle - 0.12 * unit],
        [a + 0.14 * unit, figure.eyes[1] - 0.30 * unit, middle - 0.05 * unit],
        [a + 0.04 * unit, figure.joint("neck")[1], 0.5 * (middle + front) + 0.12 * unit],
        [a - 0.02 * unit, end, front + 0.10 * unit],
    ])  # fmt: skip
    plait = 0.016 * unit * np.cos(60 * points[:, 1] / unit)
    return capsules(mirrored, places, np.array([0.11, 0.12, 0.11, 0.05]) * unit) + plait


def _afro(points: Points, figure: Figure) -> Values:
    unit = figure.head
    middle = np.array([0.0, figure.crown - 0.36 * unit, figure.joint("head")[2] - 0.02 * unit])
    ball = np.linalg.norm(points - middle, axis=1) - 0.80 * unit + 0.02 * unit * np.cos(80 * points).prod(1)
    hairline = np.array([0.0, figure.brows[1] + 0.20 * unit, figure.brows[2]])
    keep = (points - hairline) @ np.array([0.0, -0.62, 0.78])
    return meet(ball, keep, figure.chin[1] - points[:, 1])


def _fall(figure: Figure, length: float) -> float:
    """The height to which hair of a length falls: 0 at the ears, 1 at the waist."""
    return float(figure.eyes[1] + length * (figure.joint("spine1")[1] - figure.eyes[1]))


def _curtain(points: Points, figure: Figure, length: float, style: str) -> Values:
    """What falls behind the ears, over neck and back."""
    unit = figure.head
    a, b, middle = figure.head_ring(figure.eyes[1] + 0.1 * unit)
    top, end = figure.eyes[1] + 0.22 * unit, _fall(figure, length)
    heights = np.linspace(top, end - 0.05, 48)
    thick = 0.02 + 0.08 * ramp(-heights, -top, -(top - 0.6 * unit))
    rear = np.minimum.accumulate(figure.rear(heights, 0.12) - thick * unit)
    rear = np.convolve(np.pad(rear, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    x, y, z = points.T
    back = np.interp(-y, -heights, rear)
    neck = figure.joint("neck")[1]
    sunk = ramp(y, neck - 0.04, figure.chin[1] + 0.15 * unit)
    front = (1.0 - sunk) * (back + 0.16 * unit) + sunk * (middle - 0.10 * b)
    down = np.clip((figure.eyes[1] - y) / max(figure.eyes[1] - end, 1e-3), 0.0, 1.0)
    wide = a + 0.09 * unit + 0.16 * unit * down - 0.5 * unit * np.clip(down - 0.88, 0, 1)
    strands = 0.012 * unit * np.cos(x * 52 / unit * 0.35 + (5 * np.sin(y * 30) if style == "curly" else 0.0))
    side, deep = np.abs(x) - wide, np.maximum(back + strands - z, z - front)
    radius = 0.06 * unit
    corner = np.hypot(np.maximum(side + radius, 0.0), np.maximum(deep + radius, 0.0)) - radius
    inner = np.minimum(np.maximum(side + radius, deep + radius), 0.0)
    return meet(corner + inner, end - y + 0.03 * np.cos(x * 30) * unit, y - top)


def _moustache(points: Points, figure: Figure) -> Values:
    unit = figure.head
    start = figure.lips + np.array([0.0, 0.075 * unit, 0.0])
    mirrored = points.copy()
    mirrored[:, 0] = np.abs(mirrored[:, 0])
    places = np.stack(
        [start, start + np.array([0.12, -0.02, -0.03]) * unit, start + np.array([0.21, -0.09, -0.11]) * unit]
    )
    return capsules(mirrored, places, np.array([0.035, 0.035, 0.015]) * unit)


def _brim(points: Points, figure: Figure, base: float, wide: float, curl: float) -> Values:
    """A ring around the head; `curl` lifts its sides (above zero) or lets all of it hang."""
    a, b, middle = figure.head_ring(base)
    x, z = points[:, 0], points[:, 2] - middle
    out = np.maximum(ellipse(x, z, a, b), 0.0)
    share = out / wide
    lift = curl * wide * 0.35 * share**2 * (np.square(x) / (np.square(x) + np.square(z) + 1e-9) if curl > 0.3 else 1.0)
    return meet(ellipse(x, z, a + wide, b + wide), np.abs(points[:, 1] - base - lift) - 0.007)


def _crest(points: Points, figure: Figure) -> Values:
    ridge = _shell(points, figure, 0.19 * figure.head, 0.30 * figure.head)
    return meet(ridge, np.abs(points[:, 0]) - 0.035 * figure.head)


def _neck(points: Points, figure: Figure, thick: float) -> Values:
    """A collar from the back of the head down to the shoulders."""
    neck, head = figure.joint("neck"), figure.joint("head")
    return capsules(
        points, np.stack([neck - 0.01 * np.array([0, 1, 1]), head]), np.array([0.42, 0.40]) * figure.head + thick - 0.05
    )
