"""Send canaries: one record to each partition of each topic, which ingest counts and makes nothing of."""

import json
from contextlib import closing
from datetime import datetime
from typing import Any

from jobs.lake.errors import TopicError
from jobs.lake.ingest.lives import id_of_life
from jobs.lake.ingest.progress import progress
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.topics import CANARY_KEY, end_offsets, topic_ids
from jobs.produce.delivery import DELIVERY_SECONDS, REQUEST_SECONDS, connect, silent

CLIENT_ID = "reelhouse-canary"
Row = dict[str, Any]


def send(settings: Settings, at: datetime, run_id: str) -> list[Row]:
    """Send one to each partition that the broker has; rows of ops.canaries for all that it took.

    BrokerError for a broker that does not answer, or does not take one; TopicError where there are no topics.
    """
    from kafka.errors import KafkaError

    places = [(topic, number) for topic, parts in sorted(end_offsets(settings).items()) for number in sorted(parts)]
    if not places:
        raise TopicError(f"Kafka at {settings.bootstrap} has no topics; run `make up` to make them")
    known, brokers = progress(Ledger(settings)).topic_ids, topic_ids(settings)
    body = json.dumps({"canary": "reelhouse", "sent_time": at.isoformat(), "run_id": run_id}).encode()
    with closing(connect(settings, CLIENT_ID)) as client:
        try:
            sent = [client.send(topic, body, key=CANARY_KEY, partition=number) for topic, number in places]
            placed = [future.get(timeout=DELIVERY_SECONDS + REQUEST_SECONDS) for future in sent]
        except KafkaError as error:
            raise silent(settings, error) from error
    return [
        {
            "canary_sent_at": at,
            "topic": each.topic,
            "topic_id": id_of_life(brokers[each.topic], known.get(each.topic), is_new=False),
            "partition": each.partition,
            "kafka_offset": each.offset,
            "run_id": run_id,
        }
        for each in placed
    ]
