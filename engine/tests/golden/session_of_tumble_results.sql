/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:11,x,2
1970-01-01 00:00:41,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT session(INTERVAL '15 seconds') AS s, sum(n) AS n FROM (
  SELECT tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM flows GROUP BY 1) GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:09.999999999, end: 1970-01-01T00:00:34.999999999, is_cut: false} | 2
{start: 1970-01-01T00:00:49.999999999, end: 1970-01-01T00:01:04.999999999, is_cut: false} | 1
*/
