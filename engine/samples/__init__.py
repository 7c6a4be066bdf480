"""The sample policy that `demo` and the first page visit use; all of it is invented and under the project's licence."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MARKDOWN = FOLDER / "leave_and_benefits.md"
PDF = FOLDER / "leave_and_benefits.pdf"
QUESTIONS = FOLDER / "leave_and_benefits.questions.jsonl"
