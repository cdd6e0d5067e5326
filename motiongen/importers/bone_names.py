"""Which joint of a foreign skeleton is which of SMPL's: by name for hips and limbs, by topology for the trunk.

Knows the spellings of Mixamo, CMU (cgspeed), SMPL, Biovision, Unreal, Rigify-like and 3ds Max rigs.
"""

import re
from collections.abc import Sequence

from avatargen.core.errors import InputError

_ROOT = ("hips", "hip", "pelvis", "root", "bip01", "bip01pelvis", "bip001pelvis", "hipsroot", "body", "mhips")

# Side-less names; `foot`, `shoulder` and `hand` mean different joints in different rigs, see `_limb_names`.
_LIMBS: dict[str, tuple[str, ...]] = {
    "hip": ("upleg", "hip", "thigh", "upperleg", "femur", "legupper", "upperlimb", "hipjoint"),
    "knee": ("leg", "knee", "lowerleg", "shin", "calf", "lowleg", "tibia", "leglower"),
    "ankle": ("ankle", "foot"),
    "foot": ("toebase", "toe", "toes", "ball", "toe0", "foottoe", "foot"),
    "collar": ("collar", "clavicle", "shoulder", "inshoulder", "collarbone"),
    "shoulder": ("arm", "upperarm", "uparm", "humerus", "armupper", "shoulder"),
    "elbow": ("forearm", "elbow", "lowerarm", "lowarm", "radius", "armlower"),
    "wrist": ("wrist", "hand"),
}
_TRUNK = ("spine1", "spine2", "spine3", "neck", "head")
_HEAD = ("head", "skull")


def _plain(name: str) -> str:
    name = name.split(":")[-1].split("|")[-1]
    name = re.sub(
        r"^(mixamorig|bip0*1|bvh|cc_base|valvebiped|def|jnt|m_avg|f_avg|avg)[\s_.-]*", "", name, flags=re.IGNORECASE
    )
    return re.sub(r"[\s_.-]+", "", name).lower() if name else ""


def _sided(plain: str, raw: str) -> tuple[str, str] | None:
    """Side and side-less name, or None for the trunk."""
    for side in ("left", "right"):
        if plain.startswith(side):
            return side, plain[len(side) :]
        if plain.endswith(side):
            return side, plain[: -len(side)]
    # "L_Knee", "Bip01 L Thigh", "thigh.L", "upperarm_l", "lThigh", "LHip"
    words = re.split(r"[\s_.:-]+", raw)
    for letter, side in (("l", "left"), ("r", "right")):
        if letter in (word.lower() for word in words):
            rest = "".join(word for word in words if word.lower() != letter)
            return side, _plain(rest)
        if re.match(rf"^{letter}[A-Z]", raw) or re.match(rf"^{letter.upper()}[A-Z][a-z]", raw):
            return side, plain[1:]
    return None


def guess_bone_map(names: Sequence[str], parents: Sequence[int], path: str = "skeleton") -> dict[str, str]:
    """SMPL joint -> joint name of the foreign skeleton, for the limbs, the pelvis and the head.

    Raises:
        InputError: a hip, knee, ankle, shoulder, elbow, wrist or the pelvis cannot be found; names them.
    """
    found = _found_limbs(names)
    root = next((name for name in names if _plain(name) in _ROOT), None)
    if root is not None:
        found["pelvis"] = root
    elif "left_hip" in found:
        found["pelvis"] = _common_ancestor(names, parents, found["left_hip"], found["right_hip"])
    wanted = ["pelvis", *(f"{s}_{j}" for s in ("left", "right") for j in _LIMBS if j not in ("foot", "collar"))]
    missing = [joint for joint in wanted if joint not in found]
    if missing:
        raise InputError(
            f"{path}: cannot tell which joints are {', '.join(missing)}\n"
            f"  Its joints: {', '.join(names)}\n  Give a bone map: SMPL joint = joint of the file."
        )
    return found


def _found_limbs(names: Sequence[str]) -> dict[str, str]:
    """Limbs and head by their spellings."""
    found: dict[str, str] = {}
    limbs: dict[tuple[str, str], str] = {}
    for name in names:
        sided = _sided(_plain(name), name)
        if sided is not None:
            limbs.setdefault(sided, name)
        elif _plain(name) in _HEAD:
            found.setdefault("head", name)
    for side in ("left", "right"):
        taken: set[str] = set()
        for joint, spellings in _LIMBS.items():
            for spelling in spellings:
                name = limbs.get((side, spelling))
                # The proximal joint of a limb takes its name first, so "shoulder" is the collar only if "arm" exists.
                if name is None or name in taken or not _fits(joint, spelling, side, limbs):
                    continue
                found[f"{side}_{joint}"] = name
                taken.add(name)
                break
    return found


def _fits(joint: str, spelling: str, side: str, limbs: dict[tuple[str, str], str]) -> bool:
    def has(*spellings: str) -> bool:
        return any((side, s) in limbs for s in spellings)

    match joint, spelling:
        case "ankle", "foot":
            return not has("ankle")
        case "foot", "foot":
            return has("ankle")
        case "collar", "shoulder":
            return has("arm", "upperarm", "uparm", "humerus", "armupper")
        case "wrist", "hand":
            return not has("wrist")
        case "hip", "hipjoint":
            return not has("upleg", "thigh", "upperleg", "femur")
        case _:
            return True


def _ancestors(names: Sequence[str], parents: Sequence[int], name: str) -> list[str]:
    index, line = list(names).index(name), []
    while index >= 0:
        line.append(names[index])
        index = parents[index]
    return line


def _common_ancestor(names: Sequence[str], parents: Sequence[int], a: str, b: str) -> str:
    other = set(_ancestors(names, parents, b))
    return next(name for name in _ancestors(names, parents, a)[1:] if name in other)


def trunk_chains(names: Sequence[str], parents: Sequence[int], bones: dict[str, str]) -> tuple[list[str], list[str]]:
    """The joints from above the pelvis to the chest (where the arms branch off), and from above it to the head.

    Either may be empty. The chest is the lowest joint that both arms hang on.
    """
    chest = _common_ancestor(names, parents, bones["left_shoulder"], bones["right_shoulder"])
    spine = _ancestors(names, parents, chest)
    pelvis = bones["pelvis"]
    spine = list(reversed(spine[: spine.index(pelvis)])) if pelvis in spine else list(reversed(spine))
    if "head" not in bones:
        return spine, []
    neck = _ancestors(names, parents, bones["head"])
    neck = list(reversed(neck[: neck.index(chest)])) if chest in neck else [bones["head"]]
    return spine, neck
