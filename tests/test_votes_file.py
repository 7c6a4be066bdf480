"""Votes from a CSV file: of several arenas, and with a sentence for what cannot be counted."""

import pytest

from engine.errors import InvalidInput
from evals.ranking import rank
from evals.votes_file import read_votes


@pytest.fixture
def file(tmp_path):
    def write(text: str):
        path = tmp_path / "votes.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "model_a,model_b,winner,judge,question\nx,y,model_a,ann,1\ny,x,model_b,bob,1\nx,y,tie,ann,2\nx,y,tie (bothbad),bob,2\n",
        "left,right,winner,worker,prompt\nx,y,left,ann,1\ny,x,right,bob,1\nx,y,tie,ann,2\nx,y,both_bad,bob,2\n",
        "\ufeffRater, Question ,left,right,winner\nann,1,x,y,A\nbob,1,y,x,B\nann,2,x,y,draw\nbob,2,x,y,both_bad\n",
    ],
)
def test_files_of_several_arenas_are_the_same_votes(file, text):
    found = read_votes(file(text))
    first, second = rank(found).standings
    assert (first.model, first.wins, first.ties, first.both_bad, second.losses) == ("x", 2, 1, 1, 2)
    assert (found.by_rater.names, found.by_question.names) == (("ann", "bob"), ("1", "2"))


def test_without_raters_each_vote_stands_for_itself(file):
    found = read_votes(file("model_a,model_b,winner\nx,y,model_a\nx,y,model_a\n"))
    assert len(found.by_rater.names) == len(found.by_question.names) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model_a,model_b,winner\nx,y,model_a\nx,y,better\n", 'line 3: "better" is no winner'),
        ("model_a,model_b,winner\nx,y,\n", 'line 2: "" is no winner'),
        ("model_a,model_b,winner\nx,x,tie\n", '"x" against "x" is no battle'),
        ("model_a,model_b,winner\nx,,tie\n", '"x" against "" is no battle'),
        ("model_a,winner\nx,tie\n", "Votes need model_a, model_b"),
        ("", "has the columns (none)"),
        ("model_a,model_b,winner\n", "holds no vote"),
    ],
)
def test_what_cannot_be_counted_is_named_with_its_line(file, text, says):
    with pytest.raises(InvalidInput) as told:
        read_votes(file(text))
    assert says in str(told.value)


def test_a_file_that_is_none_is_refused(tmp_path, file):
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_votes(tmp_path / "absent.csv")
    path = file("")
    path.write_bytes(b"model_a,model_b,winner\n\xff\xfe,y,tie\n")
    with pytest.raises(InvalidInput, match="UTF-8"):
        read_votes(path)
