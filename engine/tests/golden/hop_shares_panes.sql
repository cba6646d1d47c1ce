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
/* expected results
x | 1969-12-31T23:58:00 | 1970-01-01T00:01:00 | 2 | 3
x | 1969-12-31T23:59:00 | 1970-01-01T00:02:00 | 3 | 6
x | 1970-01-01T00:00:00 | 1970-01-01T00:03:00 | 3 | 6
x | 1970-01-01T00:01:00 | 1970-01-01T00:04:00 | 2 | 8
x | 1970-01-01T00:02:00 | 1970-01-01T00:05:00 | 1 | 5
x | 1970-01-01T00:03:00 | 1970-01-01T00:06:00 | 1 | 5
y | 1969-12-31T23:59:00 | 1970-01-01T00:02:00 | 1 | 4
y | 1970-01-01T00:00:00 | 1970-01-01T00:03:00 | 1 | 4
y | 1970-01-01T00:01:00 | 1970-01-01T00:04:00 | 1 | 4
*/
