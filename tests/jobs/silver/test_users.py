"""silver.users: as they were and when; order of arrival changes nothing."""

from jobs.silver.users import build
from tests.jobs.silver.entity_story import EntityStory
from tests.lake.logs import body_of, record


class TestUsers(EntityStory):
    topic, field = "users", "region"
    build = staticmethod(build)

    def test_ids_are_pseudonyms_a_tombstones_too(self, history):
        gone = record("users", body_of("users", 2, user_id="x1"), value=None)
        rows = history(build, "users", [], [self.said("x1", 1, 9, "north"), gone])
        assert {row.user_id for row in rows} == {"k1:x1"}
