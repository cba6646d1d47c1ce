/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:59,x,2
1970-01-01 00:01:00,x,4
1970-01-01 00:01:30,y,8
1970-01-01 00:02:01,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '2 minutes') AS w, max(n) AS busiest, sum(total) AS total FROM (
  SELECT tumble(INTERVAL '1 minute') AS window, k, count(*) AS n, sum(v) AS total FROM flows GROUP BY 1, 2)
GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:02:00} | 2 | 15
{start: 1970-01-01T00:02:00, end: 1970-01-01T00:04:00} | 1 | 16
*/
