"""Questions about an organisation's policies, answered from memory, refused where the policies do not say."""

from engine.records import REFUSAL
from engine.tasks import Task

POLICY_QA = Task(
    name="policy_qa",
    title="Policy questions",
    answer_kind="free_text",
    system=f"Answer the question from the organisation's policies. If they do not say, reply: {REFUSAL}",
    refusal=REFUSAL,
    least_refused=0.9,
)
