"""Puts trained networks into the one small file that ships with the package."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from avatargen.core.files import load_tensors, save_tensors
from avatargen.guidance.embedded.image_tower import ImageTower, JointReader
from avatargen.guidance.embedded.text_tower import ActionWords, PoseVector


def averaged_tower(checkpoint: Path) -> ImageTower:
    """The moving average of the image tower in a training checkpoint."""
    tensors, _ = load_tensors(checkpoint)
    tower = ImageTower()
    tower.load_state_dict({k.removeprefix("average/"): v for k, v in tensors.items() if k.startswith("average/")})
    return tower.eval()


def network_state(path: Path, name: str) -> dict[str, Tensor]:
    """One network of a file that `ship` wrote, in full precision; nothing where the file has no such network."""
    tensors, _ = load_tensors(path)
    own = {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}
    return {k: v.float() if v.is_floating_point() else v for k, v in own.items()}


def load_joint_reader(path: Path) -> JointReader:
    """The second look at joints that training kept."""
    reader = JointReader()
    reader.load_state_dict(load_tensors(path)[0])
    return reader.eval()


def load_pose_words(path: Path) -> tuple[ActionWords, PoseVector]:
    """The two networks that `save_pose_words` wrote."""
    tensors, _ = load_tensors(path)
    words, pose = ActionWords(), PoseVector()
    for prefix, module in (("words/", words), ("pose/", pose)):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    return words.eval(), pose.eval()


def save_pose_words(path: Path, words: ActionWords, pose: PoseVector) -> Path:
    """Keep the two networks in full precision."""
    return save_tensors(path, named_tensors(words=words, pose=pose))


def ship(
    path: Path,
    tower: ImageTower,
    reader: JointReader,
    words: ActionWords,
    pose: PoseVector,
    notes: Mapping[str, str],
) -> Path:
    """Write all networks in half precision."""
    return save_tensors(path, _halved(named_tensors(tower=tower, reader=reader, words=words, pose=pose)), notes)


def add_network(path: Path, prefix: str, network: nn.Module) -> Path:
    """Put one more network into the file, or in the place of the one of that prefix; all others stay as they are."""
    return add_tensors(path, {prefix + k: v for k, v in network.state_dict().items()})


def add_tensors(path: Path, more: Mapping[str, Tensor]) -> Path:
    """Put tensors into the file, in the place of all that belong to the same networks; all at once."""
    tensors, notes = load_tensors(path)
    new = {name.partition("/")[0] for name in more}
    others = {name: v for name, v in tensors.items() if name.partition("/")[0] not in new}
    return save_tensors(path, others | _halved(more), notes)


def named_tensors(**modules: nn.Module) -> dict[str, Tensor]:
    """Tensors of networks as the file names them."""
    return {f"{name}/{k}": v for name, module in modules.items() for k, v in module.state_dict().items()}


def _halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.to(torch.float16) if v.is_floating_point() and v.ndim > 0 else v for k, v in tensors.items()}
