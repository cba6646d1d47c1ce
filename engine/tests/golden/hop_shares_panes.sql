/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:59.999,x,2
1970-01-01 00:01:00,x,3
1970-01-01 00:01:30,y,4
1970-01-01 00:03:00,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, window.start AS s, window."end" AS e, n, total FROM (
  SELECT k, hop(INTERVAL '1 minute', INTERVAL '3 minutes') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY 1, 2) w
WHERE total > 1;
