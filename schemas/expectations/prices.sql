-- One row about the prices that a market saw: all of them, and those of the days before $last_s. Tables: series, assets.
WITH steps AS (
    SELECT asset, timestamp_s, value::DOUBLE AS price, lag(value::DOUBLE) OVER one AS before,
           lead(timestamp_s, 1, $last_s) OVER one AS next_s, count(*) OVER (PARTITION BY asset) > 1 AS moves
    FROM series WHERE kind = 'price_base' WINDOW one AS (PARTITION BY asset ORDER BY key)),
recent AS (SELECT * FROM steps WHERE next_s > $last_s - $recent_s)
SELECT (SELECT count(*) FROM steps WHERE price <= 0) AS not_positive,
       (SELECT count(*) FROM assets WHERE asset NOT IN (SELECT asset FROM steps)) AS unpriced_assets,
       (SELECT coalesce(max(greatest(price / before, before / price) - 1), 0) FROM recent
        WHERE price > 0 AND before > 0 AND timestamp_s > $last_s - $recent_s) AS largest_jump,
       (SELECT coalesce(max(next_s - greatest(timestamp_s, $last_s - $recent_s)), 0) FROM recent WHERE moves) AS longest_silence_s,
       (SELECT coalesce($last_s - max(timestamp_s), 0) FROM steps WHERE moves) AS last_silence_s
