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
"""


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
    parser.add_argument("--jobs", type=int, metavar="N", default=1, help="characters at a time (default: 1)")
    parser.add_argument("--quality", metavar="NAME", help="draft, standard (default) or high")
    parser.add_argument("--guidance", metavar="NAME", help="as for avatargen")
    parser.add_argument("--device", metavar="NAME", help="as for avatargen")
    parser.add_argument("--config", metavar="FILE", help="as for avatargen")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="as for avatargen; repeatable")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Make all rows; 1 if one failed.

    Raises:
        InputError: the table cannot be used.
        OutputError: the gallery cannot be written.
    """
    asked = build_parser().parse_args(arguments)
    # After parsing, so that --help does not wait for torch.
    from avatargen.batch import read_table, run_batch  # noqa: PLC0415
    from avatargen.core.progress import Terminal  # noqa: PLC0415

    named = {"quality": asked.quality, "guidance": asked.guidance, "device": asked.device, "config": asked.config}
    options = [word for name, value in named.items() if value for word in (f"--{name}", value)]
    options += [word for pair in asked.set for word in ("--set", pair)]
    told = Terminal()
    outcomes = run_batch(
        read_table(Path(asked.table)), Path(asked.out), options=options, jobs=asked.jobs, reporter=told
    )
    told.note(f"wrote {Path(asked.out) / 'index.html'}")
    return int(any(outcome.reason for outcome in outcomes))
