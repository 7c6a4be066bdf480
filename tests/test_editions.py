"""A new edition against the old one: what holds, moves, changes, comes and goes; which file replaces which document."""

import pytest

from engine.documents import read_bytes, read_document
from engine.editions import by_clause, edition, fact_changes
from engine.errors import InvalidInput
from engine.facts import facts_of
from engine.samples import MARKDOWN, PDF

OLD = """# Travel

## 1 Booking

### 1.1 Flights

Employees book flights at least ten days before the trip. The Travel Desk approves each hotel.

### 1.2 Trains

Employees may travel first class on journeys of more than three hours.

## 2 Costs

Meals are refunded up to EUR 40 a day. Receipts are sent within 30 days. Taxis are paid for after midnight only.

| Country | Rate |
|---|---|
| Norway | EUR 70 per day |
| Spain | EUR 45 per day |
"""


def facts(text, name="travel.md"):
    return facts_of([read_bytes(name, text.encode())])


def found(new, old=OLD):
    """(kind, words that tell the old fact, words that tell the new one) of all that is not unchanged."""
    return [
        (change.kind, change.old and change.old.statement, change.new and change.new.statement)
        for change in fact_changes(facts(old), facts(new))
        if change.kind != "unchanged"
    ]


def edited(*pairs):
    text = OLD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def test_nothing_changes_in_an_edition_that_is_the_same():
    assert found(OLD) == []
    assert len(fact_changes(facts(OLD), facts(OLD))) == len(facts(OLD)) >= 8


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at least ten days before", "at least 14 days before"),
        ("The Travel Desk approves each", "The line manager approves each"),
        ("Employees may travel first class", "Employees may not travel first class"),
        ("EUR 70 per day", "EUR 85 per day"),
    ],
)
def test_another_value_role_or_rule_is_a_change_of_that_fact_alone(old, new):
    ((kind, before, after),) = found(edited((old, new)))
    assert kind == "changed"
    assert old in before and new in after


def test_a_clause_renumbered_or_a_heading_retitled_moves_its_facts():
    renumbered = edited(("### 1.2 Trains", "### 1.3 Trains"), ("## 2 Costs", "## 3 Costs"))
    assert {kind for kind, _, _ in found(renumbered)} == {"moved"}
    retitled = found(edited(("### 1.1 Flights", "### 1.1 Booking by air")))
    assert [kind for kind, _, _ in retitled] == ["moved", "moved"]
    assert all(before == after for _, before, after in retitled)


@pytest.mark.parametrize(
    ("heading", "instead"), [("### 1.2 Trains", "### 1.4 Trains"), ("### 1.2 Trains", "### 1.2 Rail")]
)
def test_a_clause_renumbered_or_retitled_and_changed_at_once_is_a_change(heading, instead):
    both = edited((heading, instead), ("more than three hours", "more than five hours"))
    ((kind, before, after),) = found(both)
    assert kind == "changed" and "three hours" in before and "five hours" in after


def test_what_comes_and_goes_is_added_and_removed():
    new = edited(("Taxis are paid for after midnight only.", "Bicycles can be taken along free of charge."))
    assert found(new) == [
        ("removed", "Taxis are paid for after midnight only.", None),
        ("added", None, "Bicycles can be taken along free of charge."),
    ]


def test_a_table_row_is_known_by_its_label_whatever_its_cells_say():
    table = "# T\n\n## 1 Rates\n\n| Country | Rate | Hotel | Paid by |\n|---|---|---|---|\n"
    norway, spain = (
        "EUR 70 per day | up to EUR 160 | Travel Desk |",
        "free of charge | none | the host of the meeting |",
    )
    old = f"{table}| Norway | {norway}\n| Spain | {spain}\n"
    swapped = f"{table}| Norway | {spain}\n| Spain | {norway}\n"
    changes = [(before.split(":")[0], after.split(":")[0]) for _, before, after in found(swapped, old)]
    assert changes == [("Norway", "Norway"), ("Spain", "Spain")]
    other = f"{table}| Norway | {spain}\n| Spain | {spain}\n"
    assert [kind for kind, _, _ in found(other, old)] == ["changed"]


def test_a_sentence_that_stands_twice_moves_with_its_heading():
    old = "# T\n\n## 1 Flights\n\nThe desk books all tickets.\n\n## 2 Ferries\n\nThe desk books all tickets.\n"
    new = "# T\n\n## 1 Ferries\n\nThe desk books all tickets.\n\n## 2 Flights\n\nThe desk books all tickets.\n"
    moves = [(c.kind, c.old.clause[2:], c.new.clause[2:]) for c in fact_changes(facts(old), facts(new))]
    assert moves == [("moved", "Ferries", "Ferries"), ("moved", "Flights", "Flights")]


def test_one_fact_becomes_one_other_and_the_more_alike_of_two():
    old = "# T\n\n## 1 Hotels\n\nA hotel may cost up to EUR 120 a night in any city.\n"
    new = old.replace(
        "A hotel may cost up to EUR 120 a night in any city.",
        "A hotel may cost up to EUR 90 a night in most towns. A hotel may cost up to EUR 140 a night in any city.",
    )
    assert found(new, old) == [
        ("added", None, "A hotel may cost up to EUR 90 a night in most towns."),
        (
            "changed",
            "A hotel may cost up to EUR 120 a night in any city.",
            "A hotel may cost up to EUR 140 a night in any city.",
        ),
    ]


def test_a_list_whose_lead_in_changes_changes_though_its_items_keep_their_words_and_ids():
    old = "# Leave\n\n## 1 Special leave\n\nThree days are given for:\n\n- own wedding;\n- a move.\n"
    new = old.replace("Three days", "Two days")
    assert (
        len({fact.id for fact in facts(old)} & {fact.id for fact in facts(new)}) == 2
    )  # the items', not the whole list's
    assert [kind for kind, _, _ in found(new, old)] == ["changed"] * len(facts(old))


def test_every_fact_of_both_editions_is_told_of_once():
    new = edited(
        ("ten days", "20 days"), ("### 1.2 Trains", "### 1.3 Rail"), ("Receipts are sent within 30 days. ", "")
    )
    changes = fact_changes(facts(OLD), facts(new))
    assert sorted(c.old.id for c in changes if c.old) == sorted(fact.id for fact in facts(OLD))
    assert sorted(c.new.id for c in changes if c.new) == sorted(fact.id for fact in facts(new))
    assert [c.new for c in changes if c.new] == facts(new)
    shown = by_clause(changes)
    assert list(shown) == ["1 Booking › 1.1 Flights", "1 Booking › 1.3 Rail", "2 Costs"]


def test_the_same_policy_in_another_format_changes_next_to_nothing():
    old, new = (facts_of([read_document(path)]) for path in (PDF, MARKDOWN))
    changes = fact_changes(old, new)
    assert sum(change.kind == "unchanged" for change in changes) >= 0.98 * len(old)


def test_a_file_replaces_the_document_of_its_name_else_the_one_it_has_most_in_common_with():
    travel = read_bytes("travel.md", OLD.encode())
    dress = read_bytes("dress.md", b"# Dress\n\n## 1 Rules\n\nStaff wear a badge at all times. Shoes must be closed.\n")
    new_dress = read_bytes(
        "dress.md", b"# Dress\n\n## 1 Rules\n\nStaff wear a badge at all times. Hats must be worn.\n"
    )
    new_travel = read_bytes("v2.md", edited(("ten days", "20 days")).encode())
    other = read_bytes("pets.md", b"# Pets\n\n## 1 Rules\n\nDogs may be brought to the office on Fridays.\n")
    result = edition([travel, dress], facts_of([travel, dress]), [new_dress, new_travel, other])
    assert [(r.new.name, r.old and r.old.name) for r in result.replacements] == [
        ("dress.md", "dress.md"),
        ("v2.md", "travel.md"),
        ("pets.md", None),
    ]
    assert [r.reason for r in result.replacements] == [
        "the same name",
        f"{len(facts(OLD)) - 1} of its {len(facts(OLD))} facts",
        "a further document",
    ]
    assert [document.name for document in result.documents] == ["v2.md", "dress.md", "pets.md"]
    assert result.counts == {"unchanged": len(facts(OLD)), "moved": 0, "changed": 1, "added": 2, "removed": 1}


def test_a_file_that_repeats_a_single_fact_is_a_further_document():
    travel = read_bytes("travel.md", OLD.encode())
    said = b"Receipts are sent within 30 days."
    other = read_bytes("cards.md", b"# Cards\n\n## 1 Use\n\n" + said + b" The card must be signed at once.\n")
    result = edition([travel], facts_of([travel]), [other])
    assert result.replacements[0].old is None and result.counts["removed"] == 0


def test_a_document_that_no_file_replaces_stays_with_its_facts():
    travel = read_bytes("travel.md", OLD.encode())
    pets = read_bytes("pets.md", b"# Pets\n\n## 1 Rules\n\nDogs may be brought to the office on Fridays.\n")
    result = edition([travel], facts_of([travel]), [pets])
    assert result.counts == {"unchanged": len(facts(OLD)), "moved": 0, "changed": 0, "added": 1, "removed": 0}


def test_an_edition_that_changes_nothing_is_refused_by_name():
    travel = read_bytes("travel.md", OLD.encode())
    with pytest.raises(InvalidInput, match=r"copy\.md changes no fact"):
        edition([travel], facts_of([travel]), [read_bytes("copy.md", (OLD + "\n").encode())])
