from __future__ import annotations

from orchestrator.contract.languages import normalise
from orchestrator.stagekit import flores


def test_codes_are_found_and_unknown_languages_are_none() -> None:
    assert flores.flores_code("en") == "eng_Latn"
    assert flores.flores_code("zh") == "zho_Hans"
    assert flores.flores_code("la") is None


def test_every_language_is_one_of_ours() -> None:
    table = flores._table()
    assert len(table) == 137
    for ours, code in table.items():
        assert normalise(ours) == ours
        three, script = code.split("_")
        assert (len(three), len(script)) == (3, 4)
