/* input flows
1,x
bad> 9223372036854775807,y
3,z
*/
CREATE TABLE flows (ms BIGINT, k TEXT, ts TIMESTAMP GENERATED ALWAYS AS (to_timestamp_millis(ms)), WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', on_error = 'null');
SELECT k, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows GROUP BY k, w;
/* no oracle: arrow reads no milliseconds as a generated column */
/* expected counts
bad records, no_event_time: 1
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
z | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
*/
