-- Macros for people. Raw columns are binary; decoded uint256 columns come as x_raw (32 bytes) and x (null where it does not fit).
CREATE MACRO hex0x(value) AS '0x' || lower(hex(value));
CREATE MACRO from0x(text) AS unhex(substr(text, 3));
CREATE MACRO time_of(timestamp_s) AS make_timestamp(timestamp_s::BIGINT * 1000000);
CREATE MACRO units(amount, decimals) AS amount::DOUBLE / pow(10, decimals);
CREATE MACRO low_half(raw) AS ('0x' || substr(hex(raw), 33))::UHUGEINT;
CREATE MACRO number_of(raw) AS CASE
    WHEN starts_with(hex(raw), repeat('0', 32)) THEN try_cast(low_half(raw) AS DECIMAL(38, 0))
    WHEN starts_with(hex(raw), repeat('F', 32)) AND low_half(raw) > 0 THEN
        -try_cast(340282366920938463463374607431768211455::UHUGEINT - low_half(raw) + 1 AS DECIMAL(38, 0))
    END;
CREATE MACRO from_wad(value) AS value::DOUBLE / 1e18;
CREATE MACRO from_ray(value) AS value::DOUBLE / 1e27;
CREATE MACRO from_bps(value) AS value / 1e4;
CREATE MACRO key_of(block_number, log_index) AS (block_number::BIGINT << 24) | log_index;
CREATE MACRO block_of(key) AS key >> 24;
CREATE MACRO log_index_of(key) AS (key & 16777215)::INTEGER;
