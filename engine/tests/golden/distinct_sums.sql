/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:06,x,1
1970-01-01 00:00:07,x,4
1970-01-01 00:00:08,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(DISTINCT v) AS a, sum(v) AS b, count(DISTINCT v) AS c, avg(DISTINCT v) AS d FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5 | 10 | 2 | 2.5
*/
