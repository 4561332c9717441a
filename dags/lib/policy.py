"""One place for owners, retries, deadlines, pools and alerts."""

import logging
import os
from datetime import timedelta
from typing import Any

import httpx
from airflow.sdk import DeadlineAlert, DeadlineReference, ExceptionRetryPolicy, RetryAction, RetryRule, SyncCallback

from dags.lib.failures import BadData, PromiseBroken, ServiceLost, WrongCall

log = logging.getLogger("reelhouse.alerts")

RETRY_BY_KIND = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=BadData, action=RetryAction.FAIL, reason="bad data stays bad: see the runbook"),
        RetryRule(exception=PromiseBroken, action=RetryAction.FAIL, reason="measured again by the next run"),
        RetryRule(exception=WrongCall, action=RetryAction.FAIL, reason="the call itself is wrong"),
        RetryRule(
            exception=ServiceLost,
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=20),
            reason="a service was not there",
        ),
    ]
)


def alert(context: Any) -> None:
    """Say which task broke and why: always to the log, to the webhook too when one is set."""
    task, error = context["task_instance"], context.get("exception")
    message = f"{task.dag_id}.{task.task_id} failed in run {task.run_id}: {error}"
    if isinstance(error, PromiseBroken):  # told when it broke; saying so every five minutes would bury the next one
        log.error("ALERT %s", message)
    else:
        send(message)


def missed_deadline(**details: Any) -> None:
    """Say that a run takes longer than its promise allows."""
    run = details.get("context", {}).get("dag_run", {})
    send(f"{details.get('dag')} is late: run {run.get('dag_run_id', '?')} is not done; see docs/runbooks/late.md")


def send(message: str) -> None:
    """Deliver one alert; a webhook that does not answer never breaks a run, and is itself logged."""
    log.error("ALERT %s", message)
    if url := os.environ.get("REELHOUSE_ALERT_WEBHOOK", ""):
        try:
            httpx.post(url, json={"text": message}, timeout=5).raise_for_status()
        except httpx.HTTPError as failure:
            # the error's own words would quote the address, which is a secret
            log.warning("the alert webhook did not take the message: %s", type(failure).__name__)


STANDARD: dict[str, Any] = {
    "owner": "data-engineering",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": RETRY_BY_KIND,
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": alert,
}


def within(minutes: int, dag: str) -> DeadlineAlert:
    """A run of `dag` is done this long after it was queued, or people hear of it."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=minutes),
        callback=SyncCallback(missed_deadline, kwargs={"dag": dag}),
    )
