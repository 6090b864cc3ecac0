"""What is printed is text, and commands nothing."""

import errno

import pytest

from keras_mtl.terminal import print_error
from keras_mtl.terminal import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task é 数 \U0001f600", "task é 数 \U0001f600"),
        ("two\n\tlines", "two\n\tlines"),
        # A title, a colour, what is over it, and one byte for the first two.
        ("\x1b]0;title\x07\x1b[31m", r"\x1b]0;title\x07\x1b[31m"),
        ("sum\rloss\x7f\x9b2J", r"sum\rloss\x7f\x9b2J"),
        # Another order of letters, and half a character.
        ("abc\u202edcba\u2028", r"abc\u202edcba\u2028"),
        ("\udce4", r"\udce4"),
    ],
)
def test_commands_are_written_out(text, expected):
    assert printable(text) == expected


def test_errors_of_the_system_name_the_file(capsys):
    error = OSError(errno.ENOSPC, "No space left on device", "a\x1b/b.json")
    print_error(error)
    print_error(ValueError("wrong"))
    printed = capsys.readouterr().err
    assert printed == "a\\x1b/b.json: No space left on device\nwrong\n"
