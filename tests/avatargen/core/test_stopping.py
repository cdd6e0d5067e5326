import signal
import sys
import threading

import pytest

from avatargen import cli
from avatargen.core.stopping import StoppedError, give_up, leave, left, listening


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C as a terminal has it: a job in the background of a script ignores it, and so would its tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_ctrl_c_is_a_wish_and_the_second_an_order(capfd):
    before = signal.getsignal(signal.SIGINT)
    with listening("stopping soon"):
        assert not leave("nothing")
        give_up("nothing")
        signal.raise_signal(signal.SIGINT)
        assert leave("sculpting")
        assert leave("sculpting")
        with pytest.raises(StoppedError):
            give_up("film")
        assert left() == ("sculpting", "film")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err.strip() == "stopping soon"
    assert signal.getsignal(signal.SIGINT) is before
    assert not leave("anything")
    assert left() == ()


def test_another_thread_cannot_listen_but_is_not_in_the_way():
    def work():
        with listening("never said"):
            seen.append(signal.getsignal(signal.SIGINT))

    seen: list[object] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_the_command_says_that_it_stopped_early_and_how_to_go_on(monkeypatch, capsys, tmp_path):
    import avatargen.api

    class Result:
        folder = tmp_path

    def generate(*_, **__):
        signal.raise_signal(signal.SIGINT)
        leave("sculpting after 40 of 100 steps")
        return Result()

    monkeypatch.setattr(avatargen.api, "generate", generate)
    assert cli.main(["--shape", "tall", "--quiet"]) == 130
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path)
    assert "sculpting after 40 of 100 steps" in told.err
    assert "--resume" in told.err
    assert "torch" in sys.modules


def test_who_was_started_deaf_stays_deaf():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with listening("never said"):
        signal.raise_signal(signal.SIGINT)
        assert not leave("anything")
