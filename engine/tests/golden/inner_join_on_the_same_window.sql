/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:01,x,4
*/
/* input alarms
1970-01-01 00:00:30,x
1970-01-01 00:00:31,x
1970-01-01 00:02:00,y
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE alarms (ts TIMESTAMP, k TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT a.k, a.window, a.total, b.n FROM
  (SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2) a
JOIN (SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM alarms GROUP BY 1, 2) b
ON a.window = b.window AND a.k = b.k;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 2
*/
