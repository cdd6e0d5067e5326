"""From a decoded window to a motion that stands on the body's floor, loops and stays in place as asked."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rotations import matrix_from_quat, quat_from_matrix
from avatargen.core.settings import MotionSettings
from avatargen.core.values import Motion
from motiongen.extend import extend
from motiongen.importers.retarget import mirror
from motiongen.liveliness import livelier, unsnapped
from motiongen.loops import in_place, looped, middle_round
from motiongen.manner import AS_FOUND, Manner, posed, stanced, timed
from motiongen.motion_features import RATE, Clip, heading, yaw_matrix
from motiongen.motion_vae import FRAMES, MotionVae
from motiongen.optimize import full_rotations
from motiongen.physics import detect_contacts, ground, lock_feet
from motiongen.puppet import Puppet


@torch.no_grad()
def finish_motion(
    latent: Float[Tensor, " z"],
    vae: MotionVae,
    puppet: Puppet,
    settings: MotionSettings,
    name: str,
    details: Float[Tensor, "60 137"] | None = None,
    manner: Manner = AS_FOUND,
) -> Motion:
    """Decode a latent, `details` added to its rows, and finish it; see `finish_clip`."""
    # A loop may take its cycle from anywhere in the window, and a livelier motion needs more of it.
    whole = settings.loop or settings.intensity > 1.0
    frames = FRAMES if whole else min(round(settings.seconds * RATE), FRAMES)
    more = None if details is None else details[None]
    return finish_clip(vae.motion(latent[None], frames, more), puppet, settings, name, manner)


def finish_clip(clip: Clip, puppet: Puppet, settings: MotionSettings, name: str, manner: Manner = AS_FOUND) -> Motion:
    """Bring a window to its length, put it on the body's legs, its feet on the floor, and to the frame rate asked for.

    It is done in the given manner before feet are locked, so that they are on the legs that perform it.
    A looping motion is finished as three rounds, of which the middle one is kept, so that feet are locked across the
    seam as anywhere else.
    """
    frames = round(settings.seconds * RATE)
    clip = unsnapped(livelier(posed(timed(clip, manner), manner), settings.intensity))
    joints = puppet.joints[:24].double().numpy()
    if settings.loop:
        rounds, length = looped(clip, frames)
        motion = middle_round(stand(_on_legs(rounds, puppet, name, manner), joints), length)
        motion = resample(motion, settings.fps, loop=True, count=round(settings.seconds * settings.fps))
    else:
        motion = stand(_on_legs(extend(clip, frames), puppet, name, manner), joints)
        motion = resample(motion, settings.fps)
    if settings.in_place:
        motion = in_place(motion, settings.loop)
    return replace(
        motion,
        rotations=motion.rotations.astype(np.float32),
        root_position=motion.root_position.astype(np.float32),
    )


def _on_legs(clip: Clip, puppet: Puppet, name: str, manner: Manner) -> Motion:
    motion = Motion(
        rotations=full_rotations(clip.rotations[0]).double().numpy(),
        root_position=(clip.root[0] * puppet.pelvis_height).double().numpy(),
        rest_root_height=puppet.pelvis_height,
        joint_names=SMPL_JOINTS,
        fps=RATE,
        name=name,
        contacts=clip.contacts[0].double().numpy(),
    )
    return stanced(mirror(motion) if manner.mirrored else motion, puppet.joints[:24].double().numpy(), manner)


def stand(motion: Motion, joints: Float[np.ndarray, "24 3"]) -> Motion:
    """The motion on the floor, with feet that stay put while they stand.

    The decoder damps the smallest movements of feet last, so they slide a little while they stand; its own contacts
    know of that, detection from speed alone does not. The second pass takes what the first one's blending left.
    """
    motion = ground(motion, joints)
    told = (motion.contacts > 0.5).astype(float) if motion.contacts is not None else 0.0
    contacts = np.maximum(detect_contacts(motion, joints, height=0.06, speed=0.5), told)
    return lock_feet(lock_feet(motion, joints, contacts), joints)


def resample(motion: Motion, fps: float, *, loop: bool = False, count: int | None = None) -> Motion:
    """The motion at another frame rate; rotations along the shortest arc.

    Args:
        motion: what to resample.
        fps: frames a second of the result.
        loop: the frame after the last is the first one, as far along the way as the last step leads.
        count: frames of the result, which changes the tempo; by default the duration is kept.
    """
    frames = len(motion.rotations)
    if abs(fps - motion.fps) < 1e-6 and count in (None, frames):
        return motion
    place = np.arange(count or 0) * frames / (count or 1)
    if count is None:
        count = max(2, round(frames * fps / motion.fps))
        place = np.arange(count) * motion.fps / fps
    if loop:
        motion = _with_next(motion)
    last = len(motion.rotations) - 1
    low = np.minimum(place.astype(int), last)
    high = np.minimum(low + 1, last)
    share = np.clip(place - low, 0.0, 1.0)
    quats = quat_from_matrix(torch.from_numpy(motion.rotations)).numpy()
    a, b = quats[low], quats[high]
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    mixed = a + share[:, None, None] * (b - a)
    mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)

    def between(values: np.ndarray) -> np.ndarray:
        return values[low] + share[:, None] * (values[high] - values[low])

    return replace(
        motion,
        rotations=matrix_from_quat(torch.from_numpy(mixed)).numpy(),
        root_position=between(motion.root_position),
        contacts=None if motion.contacts is None else between(motion.contacts),
        fps=float(fps),
    )


def _with_next(motion: Motion) -> Motion:
    """A loop and the first frame of its next round, where the mean of its end speeds takes the root."""
    root, rotations = motion.root_position, motion.rotations
    turn = rotations[-1, 0] @ rotations[-2, 0].T
    after = root[-1] + 0.5 * (root[-1] - root[-2] + turn @ (root[1] - root[0]))
    after[1] = root[0, 1]
    first = rotations[:1].copy()
    ahead = torch.from_numpy(turn @ rotations[-1, 0]), torch.from_numpy(rotations[0, 0])
    first[0, 0] = yaw_matrix(heading(ahead[0]) - heading(ahead[1])).numpy() @ rotations[0, 0]
    contacts = None if motion.contacts is None else np.concatenate([motion.contacts, motion.contacts[:1]])
    return replace(
        motion,
        rotations=np.concatenate([rotations, first]),
        root_position=np.concatenate([root, after[None]]),
        contacts=contacts,
    )
