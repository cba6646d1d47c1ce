/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,a,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, sum(v), sum(v) + 1, max(v) FROM flows GROUP BY k, tumble(INTERVAL '1 minute');
/* expected results
a | 3 | 4 | 2
*/
