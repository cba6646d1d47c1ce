/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,
1970-01-01 00:00:03,,1
1970-01-01 00:00:04,y,3
1970-01-01 00:01:04,,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(*) AS a, count(v) AS b, count(k) AS c, count(DISTINCT k) AS d, count(DISTINCT v) AS e, count(1) AS f FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 4 | 3 | 3 | 2 | 2 | 4
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 0 | 0 | 0 | 0 | 1
*/
