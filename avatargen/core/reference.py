"""Write `confs/base.conf` and `docs/configuration.md` from the settings: `python -m avatargen.core.reference`."""

import dataclasses
from pathlib import Path
from typing import Any

from avatargen.core.config import base_conf, confs_dir, key_docs
from avatargen.core.files import write_whole
from avatargen.core.settings import Settings


def configuration_page() -> str:
    """The text of `docs/configuration.md`."""
    lines = [
        "# Configuration",
        "",
        "Every key, its default and its reason. Change one with `--set key=value`, or several in a HOCON file given",
        "with `--config FILE` that holds only what it changes. Unknown keys and wrong types are errors that name file",
        "and key.",
        "Quality presets are such files too: `confs/quality/draft.conf`, `standard.conf`, `high.conf`.",
        "`--config presets/avatarclip.conf` is AvatarCLIP's own recipe; its own files can be given as they are, too",
        "([guidance.md](guidance.md)).",
    ]
    _section(Settings(), lines, "")
    return "\n".join(lines) + "\n"


def _section(node: Any, lines: list[str], path: str) -> None:
    docs = key_docs(type(node))
    plain = [f for f in dataclasses.fields(node) if not dataclasses.is_dataclass(getattr(node, f.name))]
    title = path.rstrip(".") or "top level"
    about = (type(node).__doc__ or "").strip().splitlines()[0]
    lines += ["", f"## {title}", "", about, "", "| key | default | what |", "| --- | --- | --- |"]
    for f in plain:
        value = getattr(node, f.name)
        shown = f"`{value!r}`" if value != "" else "empty"
        lines.append(f"| `{path}{f.name}` | {shown} | {docs.get(f.name, '').replace('|', chr(92) + '|')} |")
    for f in dataclasses.fields(node):
        if dataclasses.is_dataclass(getattr(node, f.name)):
            _section(getattr(node, f.name), lines, f"{path}{f.name}.")


def main() -> None:
    """Write both files in a source tree."""
    root = confs_dir().parent
    write_whole(confs_dir() / "base.conf", base_conf().encode())
    write_whole(Path(root) / "docs" / "configuration.md", configuration_page().encode())


if __name__ == "__main__":
    main()
