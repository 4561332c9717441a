-- Profiles and interests recomputed from silver, by the words of docs/profiles.md; it shares no code with jobs/.
-- Needs: views, likes, orders, users, videos, products (rows of silver) and the variables `day` and `zone`.
-- Makes: want_profiles and want_interests.

CREATE MACRO local_day(moment) AS CAST(moment AT TIME ZONE getvariable('zone') AS DATE);
CREATE MACRO age_of(birth_year) AS CASE
    WHEN year(getvariable('day')) - birth_year BETWEEN 0 AND 120 THEN year(getvariable('day')) - birth_year END;
CREATE MACRO is_watched(watch, length, is_ad) AS
    coalesce(watch >= 3000 OR (length > 0 AND watch::HUGEINT * 3 >= length), false) AND NOT coalesce(is_ad, false);
CREATE MACRO fade(age, half_life) AS CASE WHEN age BETWEEN 0 AND 20 * half_life THEN
    round(1048576 * 2.0 ** (-(age % half_life) / half_life::DOUBLE))::HUGEINT * (2 ** (20 - age // half_life))::HUGEINT END;
CREATE MACRO band(fen) AS CASE
    WHEN fen IS NULL OR fen < 0 THEN NULL
    WHEN fen < 2000 THEN 'under_20_yuan' WHEN fen < 5000 THEN '20_to_50_yuan' WHEN fen < 10000 THEN '50_to_100_yuan'
    WHEN fen < 30000 THEN '100_to_300_yuan' WHEN fen < 100000 THEN '300_to_1000_yuan' ELSE 'from_1000_yuan' END;

-- Who they are.
CREATE TABLE people AS
SELECT user_id, true AS is_registered, city_tier, region, member_tier, acquisition_channel, invited_by AS referred_by,
    local_day(registered_at) AS registered_on, list_sort(list_distinct(consent)) AS consent,
    coalesce(is_staff, false) AS is_staff, age_of(birth_year) < 18 AS is_minor,
    CASE WHEN age_of(birth_year) IS NULL THEN 'unknown' WHEN age_of(birth_year) >= 60 THEN 'silver'
        WHEN birth_year BETWEEN 1965 AND 1979 THEN 'gen_x' WHEN birth_year BETWEEN 1980 AND 1994 THEN 'millennial'
        WHEN birth_year BETWEEN 1995 AND 2010 THEN 'gen_z' WHEN birth_year > 2010 THEN 'gen_alpha'
        ELSE 'before_gen_x' END AS generation,
    coalesce(list_contains(consent, 'personalisation'), false) AS agreed
FROM users
WHERE local_day(valid_from) <= getvariable('day') AND NOT is_deleted
    AND (valid_to IS NULL OR local_day(valid_to) > getvariable('day'));

-- Things as they were: each version holds until the next one; of a deleted thing nothing is known.
CREATE TABLE films AS
SELECT video_id, valid_from, CASE WHEN NOT is_deleted THEN is_advertisement END AS is_advertisement,
    CASE WHEN NOT is_deleted THEN duration_ms END AS film_ms, CASE WHEN NOT is_deleted THEN category END AS category,
    CASE WHEN NOT is_deleted THEN creator_id END AS creator_id, CASE WHEN NOT is_deleted THEN tags END AS tags
FROM videos WHERE valid_to IS NULL OR valid_from < valid_to;

CREATE TABLE wares AS
SELECT product_id, valid_from, CASE WHEN NOT is_deleted THEN category END AS category,
    CASE WHEN NOT is_deleted THEN list_price_fen END AS list_price_fen
FROM products WHERE valid_to IS NULL OR valid_from < valid_to;

-- Who did what: what was done on a phone before the first log-in is of the only user who ever logged in on it.
CREATE TABLE owners AS
SELECT device_id, any_value(user_id) AS owner, min(event_time) AS since FROM (
    SELECT user_id, device_id, event_time FROM views UNION ALL SELECT user_id, device_id, event_time FROM likes
    UNION ALL SELECT user_id, device_id, event_time FROM orders WHERE kind IN ('placed', 'paid', 'return_requested', 'reviewed'))
WHERE user_id <> device_id GROUP BY device_id HAVING count(DISTINCT user_id) = 1;
CREATE MACRO whose(who, device, owner, since, moment) AS CASE WHEN who IS DISTINCT FROM device THEN who
    WHEN moment < since AND moment >= since - INTERVAL 30 DAYS THEN owner END;

CREATE TABLE looks AS
SELECT v.* REPLACE (whose(v.user_id, v.device_id, o.owner, o.since, v.event_time) AS user_id)
FROM views AS v LEFT JOIN owners AS o USING (device_id) WHERE whose(v.user_id, v.device_id, o.owner, o.since, v.event_time) IS NOT NULL;

CREATE TABLE reactions AS
SELECT l.* REPLACE (whose(l.user_id, l.device_id, o.owner, o.since, l.event_time) AS user_id)
FROM likes AS l LEFT JOIN owners AS o USING (device_id) WHERE whose(l.user_id, l.device_id, o.owner, o.since, l.event_time) IS NOT NULL;

-- What they do.
CREATE TABLE seen AS
SELECT v.user_id, v.event_time, v.kind, v.scene, v.video_id, v.product_id, v.watch_ms, v.duration_ms,
    f.is_advertisement, f.film_ms
FROM looks AS v ASOF LEFT JOIN films AS f ON f.video_id = v.video_id AND f.valid_from <= v.event_time;

CREATE TABLE acts AS
SELECT *, local_day(event_time) AS on_day, hour(event_time AT TIME ZONE getvariable('zone')) AS at_hour FROM (
    SELECT user_id, event_time, kind, scene,
        CASE WHEN kind IN ('play', 'live_enter')
            THEN least(greatest(coalesce(watch_ms, 0), 0), 86400000) ELSE 0 END AS watched,
        kind = 'play' AND is_watched(watch_ms, duration_ms, is_advertisement) AS is_valid,
        kind = 'play' AND coalesce(duration_ms > 0 AND watch_ms::HUGEINT * 100 >= duration_ms::HUGEINT * 90, false) AS is_whole
    FROM seen
    UNION ALL SELECT user_id, event_time, kind, scene, 0, false, false FROM reactions
    UNION ALL SELECT user_id, event_time, kind, scene, 0, false, false FROM orders
    WHERE kind IN ('placed', 'paid', 'return_requested', 'reviewed'));

CREATE TABLE session_starts AS
SELECT user_id, local_day(event_time) AS on_day FROM (SELECT DISTINCT user_id, event_time FROM acts)
QUALIFY coalesce(event_time - lag(event_time) OVER (PARTITION BY user_id ORDER BY event_time) > INTERVAL 30 MINUTES, true);

CREATE TABLE presence AS
SELECT user_id, count(*) AS event_count, min(event_time) AS first_seen_at, max(event_time) AS last_seen_at,
    min(on_day) AS first_day, max(on_day) AS last_day,
    min(on_day) FILTER (getvariable('day') - on_day < 7) - max(on_day) FILTER (getvariable('day') - on_day >= 7) AS silence,
    count(*) FILTER (kind = 'play' AND getvariable('day') - on_day < 90) AS plays,
    count(*) FILTER (is_valid AND getvariable('day') - on_day < 90) AS valid_plays,
    {act_windows}
FROM acts WHERE on_day <= getvariable('day') GROUP BY user_id;

CREATE TABLE visits AS
SELECT user_id, {session_windows} FROM session_starts WHERE on_day <= getvariable('day') GROUP BY user_id;

CREATE TABLE scenes AS
SELECT user_id, scene AS preferred_scene FROM acts
WHERE getvariable('day') - on_day BETWEEN 0 AND 89 AND scene IN ('short_video', 'live', 'mall', 'search')
GROUP BY user_id, scene
QUALIFY row_number() OVER (PARTITION BY user_id
    ORDER BY count(*) DESC, list_position(['short_video', 'live', 'mall', 'search'], scene)) = 1;

CREATE TABLE hours AS
SELECT user_id, at_hour AS habit_hour FROM acts WHERE getvariable('day') - on_day BETWEEN 0 AND 89
GROUP BY user_id, at_hour
QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY count(*) DESC, at_hour) = 1;

-- What they buy.
CREATE TABLE payments AS
SELECT user_id, order_id, event_time AS paid_at, local_day(event_time) AS paid_day, lines,
    list_sum(list_transform(lines, l -> l.quantity::HUGEINT * l.unit_price_fen - coalesce(l.discount_fen, 0)))
        + coalesce(freight_fen, 0) AS gross
FROM orders WHERE kind = 'paid'
QUALIFY row_number() OVER (PARTITION BY user_id, order_id ORDER BY event_time, event_id) = 1;

CREATE TABLE steps AS
SELECT user_id, order_id, max(event_time) FILTER (kind = 'cancelled') AS cancelled_at,
    bool_or(kind = 'returned') AS is_returned,
    coalesce(sum(greatest(least(coalesce(refund_fen, 0), 1000000000000), 0)) FILTER (kind = 'refunded'), 0) AS asked_back
FROM orders GROUP BY user_id, order_id;

CREATE TABLE bought AS
SELECT *, least(asked_back, gross) AS refunded, coalesce(cancelled_at >= paid_at, false) AS is_cancelled,
    paid_at IS NOT NULL AND coalesce(gross BETWEEN 0 AND 1000000000000, false) AS counts,
    CASE WHEN is_cancelled AND refunded = 0 THEN 0 ELSE gross - refunded END AS net
FROM steps LEFT JOIN payments USING (user_id, order_id);

CREATE TABLE days_paid AS
SELECT user_id, list_sort(list(paid_day)) AS days FROM bought
WHERE counts AND paid_day <= getvariable('day') GROUP BY user_id;

CREATE TABLE spending AS
SELECT user_id, count(*) FILTER (counts) AS order_count, sum(gross) FILTER (counts) AS gross_gmv_fen,
    sum(net) FILTER (counts) AS net_gmv_fen, gross_gmv_fen // nullif(order_count, 0) AS average_order_value_fen,
    min(paid_at) FILTER (counts) AS first_order_at, max(paid_at) FILTER (counts) AS last_order_at,
    count(*) FILTER (counts AND is_returned) AS returned_order_count,
    count(*) FILTER (counts AND asked_back > gross) AS over_refunded_order_count,
    count(*) FILTER (paid_at IS NOT NULL AND NOT counts) AS unbelievable_order_count,
    count(*) FILTER (paid_at IS NULL) AS unmatched_refund_count,
    {order_windows}
FROM bought WHERE paid_day <= getvariable('day') OR (paid_at IS NULL AND asked_back > 0) GROUP BY user_id;

-- What they like: every act that says something, with what it was about.
CREATE TABLE likes_of_things AS
SELECT *, coalesce(MAP {'unlike': 'like', 'unfavourite': 'favourite', 'unfollow': 'follow',
        'remove_from_cart': 'add_to_cart'}[kind], kind) AS act, act <> kind AS undoes,
    CASE act WHEN 'follow' THEN coalesce('c' || creator_id, 'v' || video_id, 'r' || live_room_id, 'p' || product_id)
        WHEN 'add_to_cart' THEN coalesce('p' || product_id, 'v' || video_id, 'r' || live_room_id, 'c' || creator_id)
        ELSE coalesce('v' || video_id, 'p' || product_id, 'r' || live_room_id, 'c' || creator_id) END AS thing
FROM reactions;

CREATE TABLE standing AS
SELECT * FROM (
    SELECT *, count(*) FILTER (undoes) OVER later_on AS undone_later, count(*) FILTER (undoes) OVER so_far AS round
    FROM likes_of_things
    WINDOW so_far AS (PARTITION BY user_id, act, thing ORDER BY event_time, event_id),
        later_on AS (PARTITION BY user_id, act, thing ORDER BY event_time DESC, event_id DESC))
WHERE NOT undoes AND undone_later = 0
QUALIFY act NOT IN ('like', 'favourite', 'follow', 'add_to_cart')
    OR row_number() OVER (PARTITION BY user_id, act, thing ORDER BY event_time, event_id) = 1;

CREATE TABLE lines_kept AS
SELECT kept.* FROM (SELECT user_id, order_id, paid_at, unnest(lines) AS line FROM bought
    WHERE counts AND NOT is_cancelled AND (net > 0 OR gross = 0)) AS kept
LEFT JOIN (
    SELECT user_id, order_id, part.line_id, sum(part.quantity) AS given_back, bool_or(part.quantity IS NULL) AS is_unsaid
    FROM (SELECT user_id, order_id, unnest(refund_lines) AS part FROM orders WHERE kind = 'refunded') GROUP BY ALL) AS back
    ON back.user_id = kept.user_id AND back.order_id = kept.order_id AND back.line_id = line.line_id
WHERE NOT coalesce(is_unsaid OR given_back >= line.quantity, false);

CREATE TABLE signs AS
WITH plays AS (
    SELECT *, coalesce(duration_ms, film_ms) AS length, least(greatest(watch_ms, 0), length)::HUGEINT * 10 AS tenths
    FROM seen WHERE kind = 'play')
SELECT row_number() OVER () AS sign, * FROM (
    SELECT user_id, 'views' AS fact, event_time AS done_at, video_id, product_id, NULL::VARCHAR AS creator_id, NULL::BIGINT AS fen,
        CASE WHEN tenths < 9223372036854775808 THEN tenths // length END AS weight
    FROM plays WHERE length > 0 AND is_watched(watch_ms, length, is_advertisement)
    UNION ALL SELECT user_id, 'views', event_time, video_id, product_id, NULL, NULL, 5
    FROM seen WHERE kind IN ('product_view', 'live_enter')
    UNION ALL SELECT user_id, 'likes', event_time, video_id, product_id, creator_id, NULL,
        MAP {'like': 20, 'comment': 25, 'favourite': 30, 'share': 40, 'add_to_cart': 50, 'follow': 60,
            'not_interested': -40, 'report': -60}[kind]
    FROM standing
    UNION ALL SELECT user_id, 'orders', paid_at, NULL, line.product_id, NULL, line.unit_price_fen, 100 FROM lines_kept)
WHERE weight <> 0;

CREATE TABLE topics AS
SELECT DISTINCT sign, user_id, fact, local_day(done_at) AS on_day, weight, topic.kind AS topic_kind, topic.name AS topic_name
FROM (
    SELECT s.*, unnest([{'kind': 'category', 'name': f.category}, {'kind': 'category', 'name': p.category},
        {'kind': 'creator', 'name': coalesce(s.creator_id, f.creator_id)},
        {'kind': 'price_band', 'name': band(coalesce(s.fen, p.list_price_fen))}]
        || list_transform(coalesce(f.tags, []), t -> {'kind': 'tag', 'name': t})) AS topic
    FROM signs AS s
    ASOF LEFT JOIN films AS f ON f.video_id = s.video_id AND f.valid_from <= s.done_at
    ASOF LEFT JOIN wares AS p ON p.product_id = s.product_id AND p.valid_from <= s.done_at)
WHERE topic.name <> '';

CREATE TABLE want_interests AS
WITH faded AS (
    SELECT *, fade(getvariable('day') - on_day,
        MAP {'category': 30, 'creator': 14, 'tag': 7, 'price_band': 60}[topic_kind]) AS left_over
    FROM topics SEMI JOIN (FROM people WHERE agreed) USING (user_id)),
summed AS (
    SELECT user_id, topic_kind, topic_name, sum(weight * left_over) AS interest,
        count(DISTINCT (on_day, fact)) AS tile_count, max(on_day) AS last_day
    FROM faded WHERE left_over IS NOT NULL GROUP BY ALL HAVING interest <> 0)
SELECT user_id, topic_kind, topic_name, getvariable('day') AS as_of_day, interest,
    row_number() OVER (PARTITION BY user_id, topic_kind ORDER BY interest DESC, topic_name) AS rank,
    coalesce(greatest(interest, 0) * 1000000
        // nullif(sum(greatest(interest, 0)) OVER (PARTITION BY user_id, topic_kind), 0), 0) AS share_ppm,
    tile_count, last_day
FROM summed;

CREATE TABLE tops AS
SELECT user_id, list(topic_kind || ':' || topic_name
    ORDER BY list_position(['category', 'creator', 'tag', 'price_band'], topic_kind), rank) AS top_interests
FROM want_interests WHERE rank <= 3 AND interest > 0 GROUP BY user_id;

CREATE TABLE choices AS
WITH ranked AS (
    SELECT user_id, topic_kind, topic_name, row_number() OVER (PARTITION BY user_id, topic_kind
        ORDER BY sum(weight) DESC, list_position(['under_20_yuan', '20_to_50_yuan', '50_to_100_yuan', '100_to_300_yuan',
            '300_to_1000_yuan', 'from_1000_yuan'], topic_name), topic_name) AS place
    FROM topics WHERE fact = 'orders' AND on_day <= getvariable('day') GROUP BY user_id, topic_kind, topic_name)
SELECT user_id, list(topic_name ORDER BY place) FILTER (topic_kind = 'category' AND place <= 3) AS preferred_categories,
    any_value(topic_name) FILTER (topic_kind = 'price_band' AND place = 1) AS preferred_price_band
FROM ranked GROUP BY user_id;

CREATE TABLE want_profiles AS
WITH everybody AS (
    SELECT user_id FROM people UNION SELECT user_id FROM presence UNION SELECT user_id FROM spending),
told AS (
    SELECT * EXCLUDE (days), coalesce(agreed, false) AS may_personalise,
        getvariable('day') - coalesce(last_day, registered_on) AS absent,
        getvariable('day') - least(registered_on, first_day) AS known,
        days[len(days)] - days[1] AS order_span, days[2] - days[1] AS second_after
    FROM everybody LEFT JOIN people USING (user_id) LEFT JOIN presence USING (user_id) LEFT JOIN visits USING (user_id)
    LEFT JOIN scenes USING (user_id) LEFT JOIN hours USING (user_id) LEFT JOIN spending USING (user_id)
    LEFT JOIN days_paid USING (user_id) LEFT JOIN tops USING (user_id) LEFT JOIN choices USING (user_id)),
filled AS (
    SELECT coalesce(COLUMNS('^(.*_count.*|watch_seconds.*|active_days.*|.*_gmv_fen.*)$'), 0) AS '\1',
        COLUMNS(c -> NOT regexp_matches(c, '_count|^watch_seconds|^active_days|_gmv_fen'))
    FROM told)
SELECT * REPLACE (
        coalesce(is_registered, false) AS is_registered, coalesce(is_staff, false) AS is_staff,
        coalesce(generation, 'unknown') AS generation,
        CASE WHEN may_personalise THEN preferred_scene END AS preferred_scene,
        CASE WHEN may_personalise THEN habit_hour END AS habit_hour,
        CASE WHEN may_personalise THEN preferred_categories END AS preferred_categories,
        CASE WHEN may_personalise THEN preferred_price_band END AS preferred_price_band,
        CASE WHEN may_personalise THEN top_interests END AS top_interests),
    getvariable('day') AS as_of_day, order_span AS order_span_days, coalesce(second_after <= 90, false) AS is_repeat_buyer,
    coalesce(plays >= 100 AND valid_plays * 20 <= plays, false) AS is_suspected_bot,
    CASE WHEN absent >= 60 THEN 'lost' WHEN absent >= 14 THEN 'dormant' WHEN known < 7 THEN 'new'
        WHEN absent < 7 AND silence >= 14 THEN 'waking' WHEN absent IS NOT NULL THEN 'active' END AS lifecycle
FROM filled;
