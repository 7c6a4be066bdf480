"""Forms from a task's schema: a decision with approvers, a turn label, an entity list; nothing is left out in silence."""

import pytest

from engine.errors import InvalidInput
from engine.forms import assembled, blank, fields_of

DECISION = {
    "type": "object",
    "required": ["decision", "reason", "approvers", "period"],
    "properties": {
        "decision": {"enum": ["approve", "reject", "escalate"], "title": "Decision"},
        "reason": {"type": "string"},
        "approvers": {"type": "array", "items": {"enum": ["Line manager", "HR Manager", "Director"]}},
        "period": {
            "type": "object",
            "required": ["days"],
            "properties": {
                "days": {"type": "integer", "minimum": 1, "maximum": 365},
                "paid": {"type": ["boolean", "null"]},
            },
        },
        "clauses": {"type": "array", "items": {"type": "string"}},
    },
}
TURN = {
    "type": "object",
    "required": ["label"],
    "properties": {"label": {"type": "string", "enum": ["question", "objection", "close"]}},
}
ENTITIES = {
    "type": "object",
    "properties": {
        "entities": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["text", "type"],
                "properties": {
                    "text": {"type": "string"},
                    "type": {"enum": ["person", "amount", "date"]},
                    "sure": {"type": "number", "minimum": 0, "maximum": 1},
                },
            },
        }
    },
}
GIVEN = {
    "decision": "approve", "reason": " In the policy. ", "approvers": ["HR Manager"], "period.days": "12",
    "period.paid": "no", "clauses": "4.2 Sick leave\n\n4.3 Unpaid\n",
}  # fmt: skip


def test_a_decision_has_a_field_for_each_part_and_comes_back_as_the_schema_has_it():
    fields = fields_of(DECISION)
    assert [(field.name, field.kind, field.required) for field in fields] == [
        ("decision", "choice", True), ("reason", "text", True), ("approvers", "choices", True),
        ("period.days", "whole", True), ("period.paid", "yes_no", False), ("clauses", "lines", False),
    ]  # fmt: skip
    assert assembled(fields, GIVEN) == {
        "decision": "approve", "reason": "In the policy.", "approvers": ["HR Manager"],
        "period": {"days": 12, "paid": False}, "clauses": ["4.2 Sick leave", "4.3 Unpaid"],
    }  # fmt: skip


def test_a_turn_label_is_one_choice():
    (field,) = fields_of(TURN)
    assert (field.title, field.options) == ("Label", ("question", "objection", "close"))
    assert assembled([field], {"label": "objection"}) == {"label": "objection"}


def test_an_entity_list_is_a_table_whose_empty_lines_are_passed_over():
    (field,) = fields_of(ENTITIES)
    assert field.kind == "table" and [column.name for column in field.columns] == ["text", "type", "sure"]
    rows = [["Ann Lee", "person", ""], ["", "", ""], [" 12 May ", "date", "0.5"]]
    assert assembled([field], {"entities": rows}) == {
        "entities": [{"text": "Ann Lee", "type": "person"}, {"text": "12 May", "type": "date", "sure": 0.5}]
    }
    assert assembled([field], {"entities": []}) == {}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"decision": None}, '"Decision" is missing'),
        ({"decision": "maybe"}, "Choose from: approve, reject, escalate"),
        ({"reason": "  "}, '"Reason" is missing'),
        ({"approvers": ["The cat"]}, '"The cat" is no choice'),
        ({"period.days": "many"}, '"many" in "Days" is no number'),
        ({"period.days": "1.5"}, "whole number"),
        ({"period.days": 0}, "at least 1 and at most 365"),
        ({"period.paid": "perhaps"}, "takes yes or no"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_sentence(changed, says):
    with pytest.raises(InvalidInput) as told:
        assembled(fields_of(DECISION), {**GIVEN, **changed})
    assert says in str(told.value)


def test_a_wrong_line_of_a_table_is_named():
    with pytest.raises(InvalidInput, match='"Entities", line 2: "city" is no choice'):
        assembled(fields_of(ENTITIES), {"entities": [["Ann", "person", 1], ["Rome", "city", ""]]})


def test_nothing_is_filled_in_before():
    fields = fields_of(DECISION)
    assert blank(fields) == {
        "decision": None, "reason": "", "approvers": [], "period.days": None, "period.paid": None, "clauses": "",
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="is missing"):
        assembled(fields, blank(fields))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"x": {"anyOf": [{"type": "string"}, {"type": "number"}]}}},
        {"type": "object", "properties": {"x": {"type": ["string", "number"]}}},
        {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "array"}}}},
        {"type": "object", "properties": {"x": {"type": "object"}}},
    ],
)
def test_a_schema_that_no_form_can_show_is_refused(schema):
    with pytest.raises(InvalidInput):
        fields_of(schema)
