"""What commands print."""

import pytest
import typer

from firstread import terminal


def test_a_failure_says_its_words_as_they_are_and_ends_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = "/data/[bold]/" + "x" * 300
    with pytest.raises(typer.Exit) as ended:
        terminal.fail(f"no such folder: {path}", 2)
    assert ended.value.exit_code == 2
    assert capsys.readouterr() == ("", f"firstread: no such folder: {path}\n")  # neither markup nor folded
