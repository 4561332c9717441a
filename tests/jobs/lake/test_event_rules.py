"""The row rules made for Spark refuse exactly what the producer's validator refuses, and for the same reasons."""

import json
from functools import reduce

import pytest
from pyspark.sql import functions as F

from jobs.lake.event_contracts import all_topics, event_contract
from jobs.lake.event_rules import event_struct, row_rules
from jobs.lake.event_validator import validator
from jobs.lake.reasons import reason_named
from jobs.lake.settings import ROOT
from tests.jobs.lake.bodies import bodies

SCHEMAS = ROOT / "schemas"
TOPICS = all_topics(SCHEMAS)
BODIES = {topic: list(bodies(event_contract(topic, 1, SCHEMAS), seed=7, count=400)) for topic in TOPICS}


def only_mistyped(reasons):
    """A field of the wrong type is only that."""
    mistyped = {reason.partition(":")[2] for reason in reasons if reason.startswith("wrong_type:")}
    return {reason for reason in reasons if reason.startswith("wrong_type") or reason.partition(":")[2] not in mistyped}


def judged(texts, topic):
    """The bodies of one topic with the reasons Spark finds."""
    parsed = texts.where(F.col("topic") == topic)
    parsed = parsed.withColumn("body", F.from_json("text", event_struct(topic, 1, SCHEMAS)))
    rules = row_rules(topic, 1, SCHEMAS)
    reasons = F.array_compact(F.array(*(F.when(broken, F.lit(reason)) for reason, broken in rules)))
    return parsed.select("topic", "number", reasons.alias("reasons"))


@pytest.fixture(scope="module")
def found(spark):
    """Every body's reasons, by topic and number: one job."""
    rows = [(topic, n, json.dumps(body)) for topic in TOPICS for n, body in enumerate(BODIES[topic])]
    texts = spark.createDataFrame(rows, "topic string, number int, text string")
    frames = [judged(texts, topic) for topic in TOPICS]
    return {
        (row.topic, row.number): set(row.reasons) for row in reduce(lambda a, b: a.unionByName(b), frames).collect()
    }


@pytest.mark.parametrize("topic", TOPICS)
def test_spark_and_the_producer_agree_on_every_body(found, topic):
    check = validator(topic, 1, SCHEMAS)
    expected = {n: {fault.reason for fault in check.faults(body)} for n, body in enumerate(BODIES[topic])}
    differing = {n: (only_mistyped(found[topic, n]), reasons) for n, reasons in expected.items()
                 if only_mistyped(found[topic, n]) != reasons}  # fmt: skip
    assert differing == {}


@pytest.mark.parametrize("topic", TOPICS)
def test_the_bodies_try_the_rules(found, topic):
    """Some bodies are good, most rules are broken by some body; else the agreement above says little."""
    fates = [found[topic, number] for number in range(len(BODIES[topic]))]
    broken = set().union(*fates)
    rules = {reason for reason, _ in row_rules(topic, 1, SCHEMAS)}
    assert sum(not fate for fate in fates) > 40
    assert len(broken) > 0.6 * len(rules), sorted(rules - broken)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_reason_is_in_the_vocabulary(spark, topic):
    reasons = [reason for reason, _ in row_rules(topic, 1, SCHEMAS)]
    assert len(reasons) == len(set(reasons))
    assert all(reason_named(reason).remedy for reason in reasons)


def test_a_rule_is_never_null(spark):
    """Also for an empty body and for one that could not be read; orders have every form of rule."""
    texts = spark.createDataFrame([("{}",), (None,)], "text string")
    read = texts.select(F.from_json("text", event_struct("orders", 1, SCHEMAS)).alias("body"))
    rows = read.select(F.array(*(broken for _, broken in row_rules("orders", 1, SCHEMAS))).alias("broken")).collect()
    assert [set(row.broken) <= {True, False} for row in rows] == [True, True]
