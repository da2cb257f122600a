-- The folded markets, as the newest cache holds them.

CREATE VIEW market_accounts AS
SELECT split_part(filename, '/', -3) AS market, * EXCLUDE (filename)
FROM read_parquet('$lake/cache/markets/*/current/market_accounts.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW market_accounts IS 'Accounts of each market and their numbers';

CREATE VIEW assets AS
SELECT split_part(filename, '/', -3) AS market, * EXCLUDE (filename)
FROM read_parquet('$lake/cache/markets/*/current/assets.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW assets IS 'Assets of each market; symbols are what the chain says and may be anything';

CREATE VIEW ledger AS
SELECT ledger.market, block_of(key) AS block_number, log_index_of(key) AS log_index, timestamp_s, market_accounts.address AS account,
       legs.kind, legs.name AS leg, legs.asset AS asset, number_of(ledger.after_raw) AS "after", ledger.after_raw, key
FROM (SELECT split_part(filename, '/', -3) AS market, * EXCLUDE (filename)
      FROM read_parquet('$lake/cache/markets/*/current/ledger.parquet', union_by_name = true, filename = true)) AS ledger
JOIN (SELECT split_part(filename, '/', -3) AS market, * EXCLUDE (filename)
      FROM read_parquet('$lake/cache/markets/*/current/legs.parquet', union_by_name = true, filename = true)) AS legs
  ON legs.market = ledger.market AND legs.leg = ledger.leg
JOIN market_accounts ON market_accounts.market = ledger.market AND market_accounts.account = ledger.account;
COMMENT ON VIEW ledger IS 'Every change of every leg of every account, with the quantity after it';

CREATE VIEW series AS
SELECT split_part(filename, '/', -3) AS market, kind, asset, block_of(key) AS block_number, log_index_of(key) AS log_index,
       timestamp_s, "value", value_raw, key
FROM read_parquet('$lake/cache/markets/*/current/series.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW series IS 'Steps of prices and indices';

CREATE VIEW parameters AS
SELECT split_part(filename, '/', -3) AS market, block_of(key) AS block_number, timestamp_s, subject, item, name, "value"
FROM read_parquet('$lake/cache/markets/*/current/parameters.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW parameters IS 'Parameters as governance changed them; each holds from its row on';
