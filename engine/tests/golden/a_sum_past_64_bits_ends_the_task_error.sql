/* input flows
1970-01-01 00:00:01,x,9223372036854775807
1970-01-01 00:00:02,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS s FROM flows GROUP BY 1;
/* expected error
line 7, column 42: task `0/1/0`: expression `CAST(sum(v) AS Int64)` fails: Cast error: value of 9223372036854775808 is out of range Int64; `sum(v)` is 9223372036854775808; in a result row: {"tumble(1m)":{"start":"1970-01-01T00:00:00Z","end":"1970-01-01T00:01:00Z"},"sum(v)":"9223372036854775808"}; say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table
*/
