import pytest

from weave_nn.entrypoints.cli.output import print_json, print_table, printable, wants_json


def test_what_is_piped_is_json_unless_chosen_otherwise() -> None:
    assert wants_json(chosen=None)
    assert not wants_json(chosen=False)


def test_json_for_scripts_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Zoë"})
    assert capsys.readouterr().out == '{"name": "Zoë"}\n'


def test_a_name_cannot_steer_the_terminal_nor_be_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME",), [("\x1b[2J[red]:smile: a\nb",)])
    assert "\N{REPLACEMENT CHARACTER}[2J[red]:smile: a\N{REPLACEMENT CHARACTER}b" in capsys.readouterr().out


def test_printable_leaves_text_of_every_script_alone() -> None:
    text = "Ärger 笔记 заметка 🗒"
    assert printable(text) == text
