/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:01:06,x,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows GROUP BY ALL;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1
*/
