-- How many of the last 30 whole days have far more logs, and far fewer, than is usual in the 30 days before each.
-- Table: counted (day, logs). A market's first and last day are cut short and do not count.
WITH every AS (SELECT range AS day FROM range((SELECT min(day) + 1 FROM counted), (SELECT max(day) FROM counted))),
daily AS (SELECT day, coalesce(logs, 0) AS logs FROM every LEFT JOIN counted USING (day)),
compared AS (SELECT day, logs, count(*) OVER before AS known, median(logs) OVER before AS usual FROM daily
             WINDOW before AS (ORDER BY day ROWS BETWEEN 30 PRECEDING AND 1 PRECEDING))
SELECT count(*) FILTER (logs > 20 * usual) AS days_flooded, count(*) FILTER (20 * logs < usual) AS days_dry
FROM compared WHERE known >= 7 AND usual >= 20 AND day > (SELECT max(day) FROM daily) - 30
