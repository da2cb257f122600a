-- One row about the balances of a market. Table: ledger; $accounts and $legs: how many there are.
SELECT count(*) AS "rows",
       count(*) FILTER (first_byte >= 128) AS negative,
       count(*) FILTER (first_byte < 128 AND high <> repeat('0', 32)) AS beyond_128_bits,
       count(*) FILTER (key < before) AS out_of_order,
       count(*) FILTER (account NOT BETWEEN 0 AND $accounts - 1 OR leg NOT BETWEEN 0 AND $legs - 1) AS unknown_accounts
FROM (SELECT key, account, leg, lag(key) OVER () AS before, substr(hex(after_raw), 1, 32) AS high,
             ('0x' || substr(hex(after_raw), 1, 2))::INTEGER AS first_byte
      FROM ledger)
