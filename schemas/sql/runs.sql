-- Runs. A run appears here at once with all of its tables.

CREATE VIEW runs AS
SELECT manifest->>'run_id' AS run_id, manifest->>'created_at' AS created_at, manifest->>'market' AS market,
       manifest->>'scenario' AS scenario, manifest
FROM (SELECT TRY_CAST(content AS JSON) AS manifest FROM read_text('$lake/runs/*/manifest.json'))
WHERE manifest->>'run_id' IS NOT NULL;
COMMENT ON VIEW runs IS 'All runs; manifest holds everything a run was made from';

CREATE VIEW outcomes AS SELECT * FROM read_parquet('$lake/runs/*/outcomes.parquet', union_by_name = true);
COMMENT ON VIEW outcomes IS 'What happened in each world of each run, one row per event';

CREATE VIEW accounts AS SELECT * FROM read_parquet('$lake/runs/*/accounts.parquet', union_by_name = true);
COMMENT ON VIEW accounts IS 'Accounts with debt or divergence at the end of each run, per world';

CREATE VIEW metrics AS SELECT * FROM read_parquet('$lake/runs/*/metrics.parquet', union_by_name = true);
COMMENT ON VIEW metrics IS 'Metrics of each run, per world';
