"""`avatargen batch`: many characters from a table."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_EPILOG = """\
The table's first line names its columns, out of: name, shape, appearance, motion, describe, seed. E.g.

  name,shape,appearance,motion
  hero,tall,Saitama,punching
  ,short and chubby,"a nurse in a white coat",waving

Every row gets a folder in the gallery. Rows that are finished are not made again.

On a Ray cluster (pip install "avatargen[ray]") each row is a task, and its files come back:

  avatargen batch characters.csv --ray auto --task-gpus 1
"""
_MOST_WAITING = 200
"""Rows handed to a cluster at a time; it makes as many of them as fit."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of `avatargen batch`."""
    parser = argparse.ArgumentParser(
        prog="avatargen batch",
        description="Many characters from a table, with an index page.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("table", metavar="CSV", help="a row for each character")
    parser.add_argument("--out", metavar="FOLDER", default="gallery", help="where the folders and index.html go")
    parser.add_argument("--jobs", type=int, metavar="N", help="characters at a time (default: 1; --ray: what fits)")
    parser.add_argument("--quality", metavar="NAME", help="draft, standard (default) or high")
    parser.add_argument("--guidance", metavar="NAME", help="as for avatargen")
    parser.add_argument("--device", metavar="NAME", help="as for avatargen")
    parser.add_argument("--config", metavar="FILE", help="as for avatargen")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="as for avatargen; repeatable")
    cluster = parser.add_argument_group("on a Ray cluster")
    cluster.add_argument("--ray", metavar="ADDRESS", help="local (processes of this machine), auto, or HOST:PORT")
    cluster.add_argument("--task-cpus", type=int, metavar="N", help="cores for each row (default: 1)")
    cluster.add_argument(
        "--task-gpus", type=int, metavar="N", help="GPUs for each row (default: 1 where the cluster has any)"
    )
    cluster.add_argument(
        "--task-retries", type=int, metavar="N", help="how often a row is tried again if its worker dies (default: 2)"
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Make all rows; 1 if one failed.

    Raises:
        ConfigError: the settings for all rows cannot be used.
        InputError: the table cannot be used.
        OutputError: the gallery cannot be written.
    """
    asked = build_parser().parse_args(arguments)
    given = {name: getattr(asked, f"task_{name}") for name in ("cpus", "gpus", "retries")}
    given = {name: value for name, value in given.items() if value is not None}
    # After parsing, so that --help does not wait for torch.
    from avatargen.batch import read_table, run_batch  # noqa: PLC0415
    from avatargen.core.config import load_settings  # noqa: PLC0415
    from avatargen.core.errors import InputError  # noqa: PLC0415
    from avatargen.core.progress import Terminal  # noqa: PLC0415

    if given and asked.ray is None:
        raise InputError(f"--task-{next(iter(given))} is for a cluster; name one with --ray local, auto or HOST:PORT")
    config = Path(asked.config) if asked.config else None
    # What is wrong for all rows is told once; "" is for AvatarCLIP's files, which ask each row's appearance.
    load_settings(quality=asked.quality, config=config, overrides=asked.set, appearance="")
    if asked.device == "cpu":
        given.setdefault("gpus", 0)
    rows, gallery, told = read_table(Path(asked.table)), Path(asked.out), Terminal()
    named = {"quality": asked.quality, "guidance": asked.guidance, "device": asked.device, "config": asked.config}
    named = {name: value for name, value in named.items() if value}
    options = [word for name, value in named.items() for word in (f"--{name}", value)]
    options += [word for pair in asked.set for word in ("--set", pair)]
    if asked.ray is None:
        jobs = 1 if asked.jobs is None else asked.jobs
        outcomes = run_batch(rows, gallery, options=options, jobs=jobs, reporter=told)
    else:
        from avatargen.cluster import Plain, Task, config_text, connected  # noqa: PLC0415

        jobs = min(len(rows), _MOST_WAITING) if asked.jobs is None else asked.jobs
        if asked.config:
            named["config"] = config_text(Path(asked.config))
        with connected(asked.ray, Plain(**named, overrides=tuple(asked.set)), Task(**given), told) as cluster:
            outcomes = run_batch(
                rows, gallery, options=options, jobs=jobs, reporter=told, runner=cluster, stop=cluster.stop
            )
    told.note(f"wrote {gallery / 'index.html'}")
    return int(any(outcome.reason for outcome in outcomes))
