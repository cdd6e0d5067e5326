"""HOCON text to frozen dataclasses, strictly: an unknown key, a wrong type or a missing include is an error.

The only module that knows pyhocon. Later sources win: dataclass defaults, `confs/quality/*.conf`, the user's file,
`--set key=value`.
"""

import ast
import dataclasses
import difflib
import inspect
import logging
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pyhocon import ConfigFactory, ConfigTree
from pyhocon.exceptions import ConfigException
from pyparsing import ParseBaseException

from avatargen.core import settings as settings_module
from avatargen.core.errors import ConfigError
from avatargen.core.limits import check_limits
from avatargen.core.original import PLACE, TOKEN, Original, is_original, translate
from avatargen.core.settings import Settings

_ORIGINAL_PRESET = "presets/avatarclip.conf"
QUALITIES = ("draft", "standard", "high")
_COMMENT = re.compile(r"(\"(?:\\.|[^\"\\\n])*\")|(?:#|//)[^\n]*")
_INCLUDE = re.compile(r"\binclude\s+(?:required\s*\(\s*)?(?:file\s*\(\s*)?\"([^\"]*)\"")
_FOREIGN = re.compile(r"\binclude\s+(?:required\s*\(\s*)?(url|package|classpath)\s*\(")
_UNQUOTED = re.compile(r"^(\s*(?:text|(?:face_|back_)?prompt)\s*[=:]\s*)([^\s\"{\[$][^\"\n]*?)\s*$", re.MULTILINE)
_LONGEST = 64_000
"""Characters of a configuration with all that it includes; pyhocon reads ten thousand a second at its slowest."""
_MOST_FILES, _MOST_REFERENCES = 32, 16
"""Included ones, and `${...}` in all of them: each may double what came before it."""
T = TypeVar("T")

# pyhocon logs a line for a missing include and goes on; we check includes ourselves.
logging.getLogger("pyhocon").setLevel(logging.CRITICAL)


def confs_dir() -> Path:
    """Where the shipped HOCON files are: in the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    return package / "confs" if (package / "confs").is_dir() else package.parent / "confs"


def load_settings(
    *,
    quality: str | None = None,
    config: Path | None = None,
    overrides: Sequence[str] = (),
    base: Settings | None = None,
    appearance: str | None = None,
) -> Settings:
    """The settings that these sources describe, later ones winning.

    Args:
        quality: draft | standard | high; a file in `confs/quality`.
        config: a HOCON (or JSON) file of the user's, only the keys it changes; or the `run.json` of a finished run; or
            one of the shipped files, as `presets/avatarclip.conf`.
        overrides: `key=value` strings with dotted keys.
        base: what to start from; the dataclass defaults if None.
        appearance: what `{TOREPLACE}` stands for in one of AvatarCLIP's own files given as `config`.

    Raises:
        ConfigError: with file, key and a suggestion.
    """
    result = base or Settings()
    if quality is not None:
        if quality not in QUALITIES:
            raise ConfigError(f"unknown quality {quality!r}; use one of {', '.join(QUALITIES)}")
        path = confs_dir() / "quality" / f"{quality}.conf"
        result = apply_tree(result, read_tree(path), path.name)
    if config is not None:
        tree = read_tree(find_config(config))
        # A finished run's record holds the settings it was made with, among other things.
        made_with = tree["settings"] if "avatargen" in tree and isinstance(tree.get("settings"), Mapping) else tree
        if is_original(tree):
            foreign = translate(tree, str(config), appearance, is_key)
            if foreign.preset:
                result = apply_tree(result, read_tree(confs_dir() / _ORIGINAL_PRESET), _ORIGINAL_PRESET)
            made_with = foreign.tree()
        result = apply_tree(result, made_with, str(config))
    for override in overrides:
        result = apply_override(result, override)
    return check_limits(result)


def find_config(path: Path) -> Path:
    """`path`, or the shipped file of that name (`presets/avatarclip.conf`) where there is none."""
    shipped = confs_dir() / path
    return shipped if not path.exists() and not path.is_absolute() and shipped.is_file() else path


def read_original(path: Path, appearance: str | None = None) -> Original | None:
    """What one of AvatarCLIP's own configurations says, in our terms; None for any other file.

    Raises:
        ConfigError: the file cannot be read or used.
    """
    tree = read_tree(find_config(path))
    return translate(tree, str(path), appearance, is_key) if is_original(tree) else None


def is_key(dotted: str) -> bool:
    """Whether there is a setting of that name."""
    node: Any = Settings()
    for name in dotted.split("."):
        if not dataclasses.is_dataclass(node) or name not in _names(node):
            return False
        node = getattr(node, name)
    return not dataclasses.is_dataclass(node)


def read_tree(path: Path) -> dict[str, Any]:
    """The plain nested dictionary in a HOCON file.

    Raises:
        ConfigError: the file or one of its includes is missing, circular or not HOCON.
    """
    texts: list[str] = []
    _collect(path, (), texts)
    if sum(text.count("${") for text in texts) > _MOST_REFERENCES:
        raise ConfigError(f"{path}: more than {_MOST_REFERENCES} references ${{...}}; write the values themselves")
    try:
        tree = _parsed(path)
    except (ConfigException, ParseBaseException) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f'{path}: not valid HOCON: {first}\n  Quote texts: key = "a, b"') from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file ({error.reason})") from error
    except (RecursionError, TypeError, AttributeError, KeyError, IndexError) as error:
        # pyhocon 0.3.63 leaks these on some malformed substitutions.
        raise ConfigError(f"{path}: not valid HOCON ({type(error).__name__})") from error
    if not isinstance(tree, ConfigTree):
        raise ConfigError(f"{path}: the top level must be keys, not a list")
    return _plain(tree)


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    # AvatarCLIP's files: braces are syntax, so what its shell scripts replace is kept as a word; and in texts without
    # quotes pyhocon 0.3.63 reads "a 3d man" as three days.
    tidy = _UNQUOTED.sub(r'\1"\2"', text.replace(PLACE, TOKEN))
    if tidy == text:
        return ConfigFactory.parse_file(str(path), required=True)
    return ConfigFactory.parse_string(tidy, str(path.parent))


def _collect(path: Path, above: tuple[Path, ...], texts: list[str]) -> None:
    """Append the text of the file and of all that it includes, as often as it is included."""
    try:
        resolved = path.resolve()
        if resolved in above:
            raise ConfigError(f"{above[-1]}: includes itself through {path}")
        if path.exists() and not path.is_dir() and (not path.is_file() or path.stat().st_size > _LONGEST):
            raise ConfigError(f"{path}: a configuration is a regular file of at most {_LONGEST // 1000} kB")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        where = f"{above[-1]}: missing include {path}" if above else f"no such configuration file: {path}"
        raise ConfigError(where) from None
    except (OSError, ValueError) as error:  # ValueError: bytes that are no text, a zero byte in the name
        raise ConfigError(f"{path}: cannot be read as text: {error}") from error
    texts.append(text)
    if len(texts) > _MOST_FILES or sum(map(len, texts)) > _LONGEST:
        raise ConfigError(
            f"{(*above, resolved)[0]}: includes {len(texts)} files or more; "
            f"at most {_MOST_FILES} and {_LONGEST // 1000} kB in all are read"
        )
    if foreign := _FOREIGN.search(text):
        raise ConfigError(f"{path}: include {foreign.group(1)}(...) is not allowed; a configuration is made of files")
    for name in _INCLUDE.findall(_COMMENT.sub(r"\1", text)):
        _collect(path.parent / name, (*above, resolved), texts)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        # pyhocon keeps the quotes of quoted keys.
        return {str(key).strip('"'): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def apply_tree(target: T, tree: Mapping[str, Any], source: str, path: str = "") -> T:
    """A copy of the dataclass `target` with the keys of `tree` changed."""
    hints = typing.get_type_hints(type(target))
    names = [f.name for f in dataclasses.fields(target)]  # pyright: ignore[reportArgumentType]
    changes: dict[str, Any] = {}
    for key, value in tree.items():
        dotted = f"{path}{key}"
        if key not in names:
            raise ConfigError(f"{source}: unknown key {dotted!r}{_suggestion(key, names)}")
        current = getattr(target, key)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: {dotted!r} is a section of keys, not a value")
            changes[key] = apply_tree(current, value, source, f"{dotted}.")
        else:
            changes[key] = _convert(value, hints[key], dotted, source)
    return dataclasses.replace(target, **changes)  # pyright: ignore[reportArgumentType]


def apply_override(target: Settings, override: str) -> Settings:
    """A copy of `target` with one `dotted.key=value` applied."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {override!r}: write it as key=value, e.g. --set implicit.steps=200")
    *sections, name = key.split(".")
    node: Any = target
    for depth, section in enumerate(sections):
        names = [f.name for f in dataclasses.fields(node)]
        if section not in names or not dataclasses.is_dataclass(getattr(node, section)):
            raise ConfigError(f"--set: unknown key {'.'.join(sections[: depth + 1])!r}{_suggestion(section, names)}")
        node = getattr(node, section)
    names = [f.name for f in dataclasses.fields(node)]
    if name not in names:
        raise ConfigError(f"--set: unknown key {key!r}{_suggestion(name, names)}")
    if dataclasses.is_dataclass(getattr(node, name)):
        raise ConfigError(f"--set: {key!r} is a section; name one of {', '.join(_names(getattr(node, name)))}")
    hint = typing.get_type_hints(type(node))[name]
    tree: dict[str, Any] = {name: _from_text(text.strip(), hint, key)}
    for section in reversed(sections):
        tree = {section: tree}
    return apply_tree(target, tree, "--set")


def _names(node: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(node)]


def _suggestion(key: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f" (known: {', '.join(sorted(names))})"


def _from_text(text: str, hint: Any, key: str) -> Any:
    optional, hint = _optional(hint)
    if optional and text.lower() in {"none", "null"}:
        return None
    if hint is str:
        return text.strip('"')
    if hint is bool:
        yes, no = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
        if text.lower() not in yes | no:
            raise ConfigError(f"--set: {key!r} must be true or false, not {text!r}")
        return text.lower() in yes
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        items = [item.strip() for item in text.strip("[]()").split(",") if item.strip()]
        return [_from_text(item, inner, key) for item in items]
    try:
        return int(text) if hint is int else float(text)
    except ValueError:
        raise ConfigError(f"--set: {key!r} must be {_describe(hint)}, not {text!r}") from None


def _optional(hint: Any) -> tuple[bool, Any]:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return True, inner[0]
    return False, hint


def _convert(value: Any, hint: Any, key: str, source: str) -> Any:
    optional, hint = _optional(hint)
    if value is None and optional:
        return None
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(hint)[0]
        return tuple(_convert(item, inner, key, source) for item in value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(float(value)) < float("inf"):
            raise ConfigError(f"{source}: {key!r} must be a finite number, not {value!r}")
        return float(value)
    if hint in {int, str, bool} and type(value) is hint:
        return value
    raise ConfigError(f"{source}: {key!r} must be {_describe(hint)}, not {value!r}")


def _describe(hint: Any) -> str:
    known = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return known.get(hint, "a list")


def to_tree(node: Any) -> dict[str, Any]:
    """The settings as nested plain values, for `run.json`; feeding them back gives the same settings."""
    tree: dict[str, Any] = {}
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        if dataclasses.is_dataclass(value):
            tree[f.name] = to_tree(value)
        else:
            tree[f.name] = list(value) if isinstance(value, tuple) else value
    return tree


def key_docs(cls: type) -> dict[str, str]:
    """The one-line docstring under each field of a settings class."""
    tree = ast.parse(inspect.getsource(settings_module))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    docs: dict[str, str] = {}
    for field_node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(field_node, ast.AnnAssign) and isinstance(field_node.target, ast.Name):
            is_doc = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            docs[field_node.target.id] = " ".join(str(after.value.value).split()) if is_doc else ""  # pyright: ignore
    return docs


def base_conf() -> str:
    """The text of `confs/base.conf`: each key with its default and reason."""
    lines = ["# Every key with its default. Made by `python -m avatargen.core.reference`; a test keeps it true.", ""]
    _base_lines(Settings(), lines, 0)
    return "\n".join(lines) + "\n"


def _base_lines(node: Any, lines: list[str], depth: int) -> None:
    pad = "  " * depth
    docs = key_docs(type(node))
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        if dataclasses.is_dataclass(value):
            about = (type(value).__doc__ or "").strip().splitlines()[0]
            lines += ["", f"{pad}# {about}", f"{pad}{f.name} {{"]
            _base_lines(value, lines, depth + 1)
            lines.append(f"{pad}}}")
        else:
            if docs.get(f.name):
                lines.append(f"{pad}# {docs[f.name]}")
            lines.append(f"{pad}{f.name} = {_hocon(value)}")


def _hocon(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_hocon(item) for item in value) + "]"
    return repr(value)
