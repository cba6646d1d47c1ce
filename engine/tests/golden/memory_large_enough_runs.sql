/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET memory = '64MiB';
SELECT k, tumble(INTERVAL '1 minute') AS w, array_agg(v) AS vs FROM flows GROUP BY 1, 2;
/* expected results
a | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | [1]
b | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | [2]
*/
