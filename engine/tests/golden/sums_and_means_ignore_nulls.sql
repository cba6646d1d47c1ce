/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,
1970-01-01 00:00:03,x,4
1970-01-01 00:00:04,y,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS s, avg(v) AS a, min(v) AS lo, max(v) AS hi FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5 | 2.5 | 1 | 4
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | ∅ | ∅ | ∅ | ∅
*/
