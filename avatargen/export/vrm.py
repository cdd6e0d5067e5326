"""VRM 1.0: a GLB whose extension `VRMC_vrm` says which bone is which and what may be done with the character.

After https://github.com/vrm-c/vrm-specification/tree/master/specification/VRMC_vrm-1.0. The rest pose is the T-pose
that VRM asks for. VRM uses no animations, so the file holds none. Faces and eyes of our avatars do not move: there
are no expressions, and no bones to look with.
"""

from collections.abc import Mapping
from typing import Any

from avatargen.core.errors import InputError
from avatargen.core.values import RiggedMesh
from avatargen.export.gltf import FIRST_JOINT, encode_glb
from avatargen.export.skeletons import bone_names, renamed

LICENCE_URL = "https://vrm.dev/licenses/1.0/"
_FLAG = (False, True)
PERMISSIONS: Mapping[str, tuple[str | bool, ...]] = {
    "avatarPermission": ("onlyAuthor", "onlySeparatelyLicensedPerson", "everyone"),
    "allowExcessivelyViolentUsage": _FLAG,
    "allowExcessivelySexualUsage": _FLAG,
    "commercialUsage": ("personalNonProfit", "personalProfit", "corporation"),
    "allowPoliticalOrReligiousUsage": _FLAG,
    "allowAntisocialOrHateUsage": _FLAG,
    "creditNotation": ("required", "unnecessary"),
    "allowRedistribution": _FLAG,
    "modification": ("prohibited", "allowModification", "allowModificationRedistribution"),
}
"""Licence fields and their values; the first, which is VRM's own default, permits least."""
_FREE = ("version", "contactInformation", "otherLicenseUrl")


def encode_vrm(
    rigged: RiggedMesh,
    *,
    name: str = "avatar",
    author: str = "",
    copyright: str = "",  # noqa: A002  glTF's own word
    licence: str = "",
    meta: Mapping[str, str] | None = None,
) -> bytes:
    """A `.vrm` file of an avatar on SMPL's joints; its bones take VRM's names.

    Args:
        rigged: in T-pose, under SMPL's joint names.
        name: of the character.
        author: whose character it is; VRM demands one, so without it the program stands there.
        copyright: goes to `copyrightInformation`.
        licence: of what the character was made from; goes to `thirdPartyLicenses`.
        meta: licence fields to change (`PERMISSIONS`), and `version`, `contactInformation`, `otherLicenseUrl`.

    Raises:
        InputError: `meta` names a field or a value that VRM does not have.
    """
    bones = bone_names("vrm").bones
    # One joint turns four fingers at once: as a humanoid bone, an app that bends fingers would bend the whole hand.
    human = {joint: bone for joint, bone in bones.items() if not joint.endswith("_hand")}
    names = rigged.skeleton.names
    missing = [joint for joint in human if joint not in names]
    if missing:
        raise InputError(f"VRM needs SMPL's joints; the skeleton lacks {', '.join(missing[:5])}")
    placed = {bone: {"node": FIRST_JOINT + names.index(joint)} for joint, bone in human.items()}
    described: dict[str, Any] = {"name": name, "authors": [author or "made with avatargen"], "licenseUrl": LICENCE_URL}
    described |= {"copyrightInformation": copyright} if copyright else {}
    described |= {"thirdPartyLicenses": licence} if licence else {}
    described |= {field: values[0] for field, values in PERMISSIONS.items()} | checked_meta(meta or {})
    extension = {"specVersion": "1.0", "meta": described, "humanoid": {"humanBones": placed}}
    model, _ = renamed(rigged, (), "vrm")
    return encode_glb(
        model, name=name, author=author, copyright=copyright, licence=licence, extensions={"VRMC_vrm": extension}
    )


def checked_meta(meta: Mapping[str, str]) -> dict[str, str | bool]:
    """The fields with values of the right type.

    Raises:
        InputError: a field or a value that VRM does not have; the message lists what it has.
    """
    out: dict[str, str | bool] = {}
    for field, value in meta.items():
        if field in _FREE:
            out[field] = value
            continue
        if field not in PERMISSIONS:
            raise InputError(f"VRM has no licence field {field!r}; it has {', '.join((*PERMISSIONS, *_FREE))}")
        allowed = {str(choice).lower(): choice for choice in PERMISSIONS[field]}
        if value.lower() not in allowed:
            raise InputError(f"VRM: {field} cannot be {value!r}; it is one of {', '.join(allowed)}")
        out[field] = allowed[value.lower()]
    return out
