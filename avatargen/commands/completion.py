"""`avatargen completion`: words that a shell may offer, taken from the parsers themselves."""

import argparse
import re
from collections.abc import Mapping, Sequence

from avatargen.core.errors import InputError

SHELLS = ("bash", "zsh", "fish")
_ABOUT = """\
  bash: avatargen completion bash > ~/.local/share/bash-completion/completions/avatargen
  zsh:  avatargen completion zsh > ~/.zfunc/_avatargen      with ~/.zfunc in $fpath, before compinit
  fish: avatargen completion fish > ~/.config/fish/completions/avatargen.fish
"""


def completion(arguments: Sequence[str], parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """The script for the shell that is asked for.

    Args:
        arguments: the command line behind `completion`.
        parsers: command -> its parser; "" is the program's own.

    Raises:
        InputError: no shell, or an unknown one.
    """
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        raise InputError(f"say for which shell: avatargen completion {'|'.join(SHELLS)}\n{_ABOUT.rstrip()}")
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments[0]](parsers)


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.option_strings]


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in _options(parser) for flag in action.option_strings]


def _choices(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Option -> the words that may follow it."""
    return {
        flag: [str(word) for word in action.choices]
        for action in _options(parser)
        if action.choices
        for flag in action.option_strings
    }


def _operands(parser: argparse.ArgumentParser) -> list[str]:
    """Words that may stand where no option does."""
    places = [action for action in parser._actions if not action.option_strings]
    return [str(word) for action in places for word in action.choices or ()]


def _bash(parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    commands = " ".join(command for command in parsers if command)
    cases = "\n".join(
        f'    {command or "*"}) flags="{" ".join(_flags(parser))}"; words="{" ".join(_operands(parser))}" ;;'
        for command, parser in sorted(parsers.items(), reverse=True)
    )
    chosen = "\n".join(
        f'    "{command}:{flag}") COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current")); return ;;'
        for command, parser in parsers.items()
        for flag, words in _choices(parser).items()
    )
    return f"""# Completion of avatargen for bash; files are offered where nothing else fits.
_avatargen() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}"
  local flags words commands="{commands}"
  COMPREPLY=()
  [[ " $commands " == *" $command "* && $COMP_CWORD -gt 1 ]] || command=""
  case "$command:$before" in
{chosen}
  esac
  case "$command" in
{cases}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
  elif [[ $before != -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}}
complete -o default -F _avatargen avatargen
"""


def _zsh(parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    return f"#compdef avatargen\nautoload -U +X bashcompinit && bashcompinit\n{_bash(parsers)}"


def _fish(parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    commands = " ".join(command for command in parsers if command)
    lines = ["# Completion of avatargen for fish."]
    lines += [f"complete -c avatargen -n __fish_use_subcommand -a {command}" for command in parsers if command]
    for command, parser in parsers.items():
        where = f"__fish_seen_subcommand_from {command}" if command else f"not __fish_seen_subcommand_from {commands}"
        for action in _options(parser):
            names = " ".join(f"-{'l' if f.startswith('--') else 's'} {f.lstrip('-')}" for f in action.option_strings)
            takes = " -r" if action.nargs != 0 else ""
            offered = f" -f -a '{' '.join(map(str, action.choices))}'" if action.choices else ""
            about = re.sub(r"['\\%]", "", (action.help or "").splitlines()[0] if action.help else "")
            lines.append(f"complete -c avatargen -n '{where}' {names}{takes}{offered} -d '{about}'")
        lines += [f"complete -c avatargen -n '{where}' -f -a {word}" for word in _operands(parser)]
    return "\n".join(lines) + "\n"
