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

TIMES = """
SELECT unnest(['decision', 'deliberation']) AS kind, unnest([decision_us, deliberation_us]) / 6e7 AS minutes
FROM gold.funnel_attempts WHERE is_converted AND funnel = {funnel} AND funnel_version = {version}
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
