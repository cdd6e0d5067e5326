"""What every example takes: where to write, the quality, settings to change."""

import argparse


def arguments(out: str) -> argparse.Namespace:
    """`out`, `quality` and `set` of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", nargs="?", default=out)
    parser.add_argument("--quality", default="draft", choices=("draft", "standard", "high"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()
