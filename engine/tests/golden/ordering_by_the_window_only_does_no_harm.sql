/* input flows
1970-01-01 00:01:01,x,1
1970-01-01 00:01:02,y,2
1970-01-01 00:02:02,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2 ORDER BY window, v;
/* expected results
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1
y | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 2
y | {start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 4
*/
