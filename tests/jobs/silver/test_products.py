"""silver.products: as they were and when; order of arrival changes nothing."""

from jobs.silver.products import build
from tests.jobs.silver.entity_story import EntityStory


class TestProducts(EntityStory):
    topic, field = "products", "category"
    build = staticmethod(build)
