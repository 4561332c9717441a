"""The report's questions, as SQL over published tables; the report fills in {funnel} and {version} as literals."""

FUNNELS = """
SELECT funnel, max(funnel_version) AS version
FROM gold.funnel_daily WHERE breakdown = 'total' AND attempts_count > 0
GROUP BY 1 ORDER BY 1
"""

STEPS = """
SELECT step_number, any_value(step) AS step, sum(attempts_count)::BIGINT AS attempts
FROM gold.funnel_daily WHERE breakdown = 'total' AND funnel = {funnel} AND funnel_version = {version}
GROUP BY 1 ORDER BY 1
"""

BY_DAY = """
SELECT entry_date, unnest(['mature', 'open']) AS state,
       unnest([mature_attempts_count, open_attempts_count]) AS attempts
FROM gold.funnel_daily
WHERE breakdown = 'total' AND funnel = {funnel} AND funnel_version = {version}
QUALIFY step_number = max(step_number) OVER ()
ORDER BY entry_date
"""

BY_VALUE = """
WITH steps AS (
  SELECT *, max(step_number) OVER () AS last_step
  FROM gold.funnel_daily WHERE breakdown <> 'total' AND funnel = {funnel} AND funnel_version = {version}
)
SELECT breakdown, breakdown_value,
       sum(attempts_count) FILTER (step_number = 1)::BIGINT AS entered,
       sum(attempts_count) FILTER (step_number = last_step)::BIGINT AS converted
FROM steps GROUP BY 1, 2 HAVING entered > 0 ORDER BY 1, 2
"""

# The place of each time in `charts.WAITS`: how many of the bounds (in minutes) it has reached.
TIMES = """
WITH times AS (
  SELECT unnest(['decision', 'deliberation']) AS kind, unnest([decision_us, deliberation_us]) / 6e7 AS minutes
  FROM gold.funnel_attempts WHERE is_converted AND funnel = {funnel} AND funnel_version = {version}
)
SELECT kind, len(list_filter([1, 5, 15, 60, 360, 1440, 10080], lambda bound: bound <= minutes)) AS wait,
       count(*) AS conversions
FROM times GROUP BY 1, 2 ORDER BY 1, 2
"""

SEGMENTS = """
SELECT coalesce(generation, '(none)') AS generation, coalesce(lifecycle, '(none)') AS lifecycle, count(*) AS people
FROM gold.user_profiles GROUP BY 1, 2 ORDER BY 1, 2
"""

SPENDING = """
SELECT coalesce(generation, '(none)') AS generation, unnest(['gross', 'net']) AS measure,
       unnest([sum(gross_gmv_fen), sum(net_gmv_fen)])::DOUBLE / 100 AS yuan
FROM gold.user_profiles GROUP BY 1 ORDER BY 1
"""

SEGMENTS_BY_DAY = """
SELECT as_of_day, segment, sum(people_count)::BIGINT AS people
FROM gold.segment_daily WHERE dimension = {dimension} AND segment <> '(outside)'
GROUP BY 1, 2 HAVING people > 0 ORDER BY 1, 2
"""

RFM = """
SELECT recency_score, frequency_score, count(*) AS people, avg(monetary_score) AS monetary
FROM gold.user_scores WHERE recency_score IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
"""

# The fit behind the scores as they are published: a build whose scores did not pass leaves fits too.
CALIBRATION = """
WITH tenths AS (
  SELECT known_until, as_of_day, unnest(deciles, recursive := true)
  FROM ops.model_fits
  WHERE model = 'bg_nbd' AND run_id = (
    SELECT max_by(run_id, known_from) FROM ops.publications WHERE "table" = 'gold.user_scores')
)
FROM tenths ORDER BY decile
"""

RETENTION = """
SELECT cohort_week, week_number, retained_ppm / 1e6 AS share
FROM gold.retention_weekly WHERE counting = 'rolling' AND is_mature ORDER BY 1, 2
"""

# Who agreed and gave the most signs; the page does not say who it is.
EXAMPLE_TOPICS = """
WITH example AS (
  SELECT user_id, as_of_day FROM gold.user_interests WHERE topic_kind = 'category'
  GROUP BY ALL ORDER BY sum(tile_count) DESC, user_id LIMIT 1
), liked AS (
  SELECT user_id, topic_name, as_of_day FROM gold.user_interests JOIN example USING (user_id, as_of_day)
  WHERE topic_kind = 'category' AND rank <= 3 AND interest > 0
)
SELECT topic_name AS topic, as_of_day, day, sum(weight)::BIGINT AS weight
FROM liked JOIN gold.user_interest_days USING (user_id, topic_name)
WHERE topic_kind = 'category' AND day <= as_of_day GROUP BY ALL ORDER BY topic, day
"""
