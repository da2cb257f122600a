-- What the lake holds of the chain. Rows that are not sealed count only where nothing sealed speaks of their block and address.

CREATE VIEW segments AS
SELECT footer->>'dataset' AS dataset, footer->>'market' AS market, (footer->>'chain_id')::BIGINT AS chain_id,
       (footer->>'start')::BIGINT AS first_block, (footer->>'stop')::BIGINT - 1 AS last_block,
       footer->>'status' AS status, footer->>'linkage' AS linkage, footer->>'source' AS source,
       (footer->>'rows')::BIGINT AS row_count, footer->>'root' AS root,
       list_transform(json_keys(footer->'filter'), lambda address: unhex(substr(address, 3))) AS addresses,
       file_name AS file
FROM (SELECT file_name, decode(value)::JSON AS footer
      FROM parquet_kv_metadata(['$lake/logs/*/*.parquet', '$lake/blocks/*/*.parquet', '$lake/receipts/*/*.parquet',
                                '$lake/observations/*/*.parquet', '$lake/tail/*/*/*.parquet'])
      WHERE decode(key) = 'l2liq');
COMMENT ON VIEW segments IS 'Every file that holds data of a chain, as its footer describes it';

CREATE VIEW coverage AS
SELECT market, first_block, last_block, status, linkage, source, len(addresses) AS address_count, row_count, addresses
FROM segments WHERE dataset = 'logs' ORDER BY market, first_block, status, file;
COMMENT ON VIEW coverage IS 'Which blocks were looked at for which addresses';

CREATE VIEW logs AS
SELECT split_part(filename, '/', -2) AS market, 'sealed' AS status, * EXCLUDE (filename)
FROM read_parquet('$lake/logs/*/*.parquet', union_by_name = true, filename = true)
UNION ALL
SELECT * EXCLUDE (file) FROM (
    SELECT split_part(filename, '/', -2) AS market,
           CASE WHEN filename LIKE '%/tail.parquet' THEN 'tail' ELSE 'as_found' END AS status,
           * EXCLUDE (filename), filename AS file
    FROM read_parquet('$lake/tail/logs/*/*.parquet', union_by_name = true, filename = true)) AS unsealed
WHERE NOT EXISTS (
    SELECT 1 FROM segments AS held
    WHERE held.dataset = 'logs' AND held.market = unsealed.market
      AND (held.status = 'sealed' OR held.status = 'tail' AND unsealed.status = 'as_found')
      AND unsealed.block_number BETWEEN held.first_block AND held.last_block
      AND list_contains(held.addresses, unsealed.address))
QUALIFY row_number() OVER (PARTITION BY market, block_number, log_index ORDER BY file DESC) = 1;
COMMENT ON VIEW logs IS 'Raw logs of all markets; ORDER BY block_number, log_index gives the order of the chain';

CREATE VIEW blocks AS
SELECT market, 'sealed' AS status, * EXCLUDE (market) FROM (
    SELECT split_part(filename, '/', -2) AS market, * EXCLUDE (filename)
    FROM read_parquet('$lake/blocks/*/*.parquet', union_by_name = true, filename = true))
UNION ALL
SELECT market, 'tail' AS status, * EXCLUDE (market) FROM (
    SELECT split_part(filename, '/', -2) AS market, * EXCLUDE (filename)
    FROM read_parquet('$lake/tail/blocks/*/*.parquet', union_by_name = true, filename = true)) AS unsealed
WHERE NOT EXISTS (
    SELECT 1 FROM read_parquet('$lake/blocks/*/*.parquet', union_by_name = true, filename = true) AS held
    WHERE split_part(held.filename, '/', -2) = unsealed.market AND held.number = unsealed.number);
COMMENT ON VIEW blocks IS 'Block headers that markets needed; a block appears once per market';

CREATE VIEW receipts AS
SELECT split_part(filename, '/', -2) AS market, * EXCLUDE (filename)
FROM read_parquet('$lake/receipts/*/*.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW receipts IS 'What transactions cost';

CREATE VIEW observations AS
SELECT split_part(filename, '/', -2) AS market, * EXCLUDE (filename)
FROM read_parquet('$lake/observations/*/*.parquet', union_by_name = true, filename = true);
COMMENT ON VIEW observations IS 'Answers that logs do not hold: calls, imported prices, opening state';
