/* input flows
1970-01-01 00:00:01,99999999999999999999999999999999999999
1970-01-01 00:00:02,99999999999999999999999999999999999998
*/
CREATE TABLE flows (ts TIMESTAMP, raw TEXT, d DECIMAL(38, 0) GENERATED ALWAYS AS (CAST(raw AS DECIMAL(38, 0))), WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(d) AS s FROM flows GROUP BY 1;
/* expected error
line 7, column 42: task `0/1/0`: expression `CAST(sum(d) AS Decimal128(38, 0))` fails: Cast error: Cannot cast to Decimal128(38, 0). Overflowing on 199999999999999999999999999999999999997; `sum(d)` is 199999999999999999999999999999999999997; in a result row: {"tumble(1m)":{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:01:00Z"},"sum(d)":"199999999999999999999999999999999999997"}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
