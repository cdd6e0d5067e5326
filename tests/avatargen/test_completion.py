import shutil
import subprocess
import sys

import pytest

from avatargen.cli import build_parser, main


@pytest.fixture
def script(capsys):
    def made(shell):
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    return made


def offered(script, line):
    """What bash offers at the end of `line`."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f'\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _avatargen; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_offers_commands_options_and_their_words(script):
    text = script("bash")
    assert offered(text, "avatargen e") == ["export", "evaluate"]
    assert offered(text, "avatargen --qua") == ["--quality"]
    assert offered(text, "avatargen --quality d") == ["draft"]
    assert offered(text, "avatargen export runs/a --ske") == ["--skeleton"]
    assert offered(text, "avatargen models ") == ["list", "path", "fetch"]
    assert offered(text, "avatargen shape --quality ") == []
    assert "--appearance" not in offered(text, "avatargen shape --")


def test_every_option_is_in_every_script(script):
    options = [flag for action in build_parser()._actions for flag in action.option_strings if flag.startswith("--")]
    assert len(options) > 20
    bash, zsh, fish = script("bash"), script("zsh"), script("fish")
    assert bash in zsh
    for option in options:
        assert f" {option}" in bash
        assert f"-l {option[2:]}" in fish


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_their_script(script, shell, tmp_path):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    path = tmp_path / "script"
    path.write_text(script(shell))
    subprocess.run([program, "-n" if shell == "zsh" else "--no-execute", str(path)], check=True)


@pytest.mark.parametrize("words", [[], ["tcsh"], ["bash", "zsh"]])
def test_an_unknown_shell_is_told(words, capsys):
    assert main(["completion", *words]) == 2
    assert "bash|zsh|fish" in capsys.readouterr().err


def test_completion_starts_without_torch():
    code = "import sys; from avatargen.cli import main; main(['completion', 'bash']); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
