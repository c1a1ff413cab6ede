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


PROMOTION = """
{% set chosen = ti.xcom_pull(task_ids='GROUP.choose_promotion') -%}
{{ chosen['table'] }}

{% if chosen['classes'] -%}
**Other classes than the live version's: clients must be ready for it.** {{ chosen['classes'] }}.

{% endif -%}
Version **{{ chosen['version'] }}** of `{{ chosen['registered_model'] }}` answers in
**{{ chosen['source']['environment'] }}**, and would go on to **{{ chosen['environment'] }}/{{ chosen['app'] }}** as
`{{ chosen['served_model'] }}`. Rejecting leaves everything as it is.
"""


def approve_promotion(group: str, settings: Settings) -> ApprovalOperator:
    """The task `approve` of a stage after the first, whose tasks are in a group; unanswered, it rejects."""
    return ApprovalOperator(
        task_id="approve",
        subject="Put this version into the next stage?",
        body=PROMOTION.replace("GROUP", group),
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(seconds=settings.approval_timeout),
        doc_md="Waits for a person, who sees both versions side by side, with the boxes that their servers found.",
    )


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
