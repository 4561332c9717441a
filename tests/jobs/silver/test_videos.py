"""silver.videos: as they were and when; order of arrival changes nothing."""

from jobs.silver.videos import build
from tests.jobs.silver.entity_story import EntityStory


class TestVideos(EntityStory):
    topic, field = "videos", "category"
    build = staticmethod(build)
