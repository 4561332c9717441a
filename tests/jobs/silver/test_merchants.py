"""silver.merchants: as they were and when; order of arrival changes nothing."""

from jobs.silver.merchants import build
from tests.jobs.silver.entity_story import EntityStory


class TestMerchants(EntityStory):
    topic, field = "merchants", "region"
    build = staticmethod(build)
