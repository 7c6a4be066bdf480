"""Records as the page shows them; expected rows are written by hand."""

from engine.records import Adapter, Passage
from ui.tables import (
    highlighted,
    history_rows,
    model_rows,
    pace,
    place,
    when,
)

PASSAGE = Passage("p", "d", 0, ("4 Leave", "4.2 Sick leave"), 5, "Ring before 9 am. Then rest.", 0, 28)


def test_the_evidence_alone_is_marked():
    assert highlighted(PASSAGE, "before 9 am") == [("Ring ", None), ("before 9 am", "evidence"), (". Then rest.", None)]
    assert highlighted(PASSAGE, "Ring before 9 am. Then rest.") == [(PASSAGE.text, "evidence")]


def test_nothing_is_marked_where_the_evidence_is_not_verbatim():
    assert highlighted(PASSAGE, "Then rest.\nor sleep")[-2:] == [
        ("Then rest.", "evidence"),
        ("\n• or sleep", "evidence"),
    ]
    assert highlighted(PASSAGE, "before nine") == [(PASSAGE.text, None)]
    assert highlighted(PASSAGE, "") == [(PASSAGE.text, None)]


def test_a_place_is_its_headings_and_its_page():
    assert place(PASSAGE) == "4 Leave › 4.2 Sick leave, page 5"


def test_an_adapter_that_reads_clauses_is_told_from_one_that_recalls():
    recalls, reads = (
        Adapter("tuned", "base", "", "0" * 64, "2026-05-01", "leave:1", {"config": config, "minutes": 2})
        for config in ({"preset": "quick"}, {"preset": "quick", "mode": "grounded"})
    )
    assert [row[3] for row in model_rows("base", [recalls, reads], "")] == ["", "quick", "quick, grounded"]


def test_what_a_run_says_of_itself_stays_text():
    assert "<img" not in pace(1, 2, "<img src=x>") and "&lt;img" in pace(1, 2, "<img src=x>")


def test_times_are_cut_to_the_minute():
    assert when("2026-11-21T12:05:33.123+00:00") == "2026-11-21 12:05 UTC"


def test_history_tells_what_the_gate_said_and_why_it_was_overruled():
    row = {
        "created_at": "2026-11-21T12:05:33",
        "action": "promote",
        "model": "m",
        "reason": "trial",
        "verdict": "",
        "override": "",
    }
    assert history_rows([row]) == [["2026-11-21 12:05 UTC", "promote", "m", "", "trial"]]
    against = {**row, "verdict": "do not promote", "override": "the board wants it", "reason": ""}
    assert history_rows([against])[0][3:] == ["do not promote", "Against the gate: the board wants it"]
