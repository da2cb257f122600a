CREATE VIEW "$view" AS
SELECT regexp_extract(filename, '([a-z0-9-]+)-[0-9]{4}q[1-4][.]parquet$$', 1) AS market, * EXCLUDE (filename)
FROM read_parquet('$lake/cache/events/$protocol/$event/*.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW "$view" IS 'Decoded $event events of $protocol';
