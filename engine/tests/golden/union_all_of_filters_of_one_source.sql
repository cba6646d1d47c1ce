/* input flows
1970-01-01 00:00:01,x,5
1970-01-01 00:00:02,y,1
1970-01-01 00:01:02,z,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM (
  SELECT ts, 'first' AS k, v FROM flows WHERE k = 'x' UNION ALL SELECT ts, 'second', v * 10 FROM flows WHERE k <> 'x')
GROUP BY 1, 2;
/* expected results
first | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5
second | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 10
second | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 10
*/
