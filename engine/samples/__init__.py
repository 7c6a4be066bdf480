"""The sample policy that `demo` and the first page visit use, and a hundred everyday questions: all invented, under our licence."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MARKDOWN = FOLDER / "leave_and_benefits.md"
PDF = FOLDER / "leave_and_benefits.pdf"
QUESTIONS = FOLDER / "leave_and_benefits.questions.jsonl"
EVERYDAY = FOLDER / "everyday.questions.jsonl"
