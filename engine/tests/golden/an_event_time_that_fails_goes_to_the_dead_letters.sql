/* input flows
1,x
bad> 9223372036854775807,y
3,z
*/
CREATE TABLE flows (ms BIGINT, k TEXT, ts TIMESTAMP GENERATED ALWAYS AS (to_timestamp_millis(ms)), WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', dead_letter_table = 'dead_letters', on_error = 'dead_letter');
CREATE TABLE dead_letters (reason TEXT, detail TEXT, split TEXT, position BIGINT, value TEXT) WITH (connector = 'sink');
SELECT k, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows GROUP BY k, w;
/* no oracle: arrow reads no milliseconds as a generated column */
/* expected dead_letters
overflow | expression `CAST(to_timestamp_millis(ms) AS Timestamp(Nanosecond, None))` (line 6, column 74): Cannot cast Timestamp(ms) value 9223372036854775807 to Timestamp(ns): converted value exceeds the representable i64 range; `to_timestamp_millis(ms)` is a Timestamp(ms) that cannot be shown | 0 | 1 | {"ms":9223372036854775807,"k":"y"}
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
z | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
*/
