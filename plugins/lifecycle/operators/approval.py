"""A person's word between version and commit, where the setting asks for it."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator

from lifecycle.model import names
from lifecycle.settings import Settings

QUESTION = f"""
{{{{ ti.xcom_pull('gate', key='{names.DECISION_KEY}')['table'] }}}}

{{% set classes = ti.xcom_pull('gate', key='{names.DECISION_KEY}')['classes'] -%}}
{{% if classes %}}**Other classes than the live version's: clients must be ready for it.** {{{{ classes }}}}.

{{% endif -%}}
`promote` would put version **{{{{ ti.xcom_pull('register')['version'] }}}}** of `{{{{ params.registered_model }}}}`
live as `{{{{ params.served_model }}}}` in **{{{{ params.environment }}}}/{{{{ params.app }}}}**. MLflow run:
`{{{{ ti.xcom_pull('{names.OPEN_RUN}')['run_id'] }}}}`. Rejecting leaves everything as it is; the version stays in
MLflow.
"""


def approvals(settings: Settings) -> list[ApprovalOperator]:
    """The task `approve`, or none; unanswered, it rejects."""
    if not settings.require_approval:
        return []
    return [
        ApprovalOperator(
            task_id="approve",
            subject="Put this version live?",
            body=QUESTION,
            defaults=ApprovalOperator.REJECT,
            response_timeout=timedelta(seconds=settings.approval_timeout),
            doc_md="Waits for a person, who sees candidate and live version side by side.",
        )
    ]
