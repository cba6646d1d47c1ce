/* input flows
1970-01-01 00:00:01,b,6
1970-01-01 00:00:06,c,3
1970-01-01 00:00:11,b,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v * 2 + 1) / count(*) AS a, max(length(k) + v) - min(v) AS b, sum(CAST(v AS DOUBLE) / 2) AS c, round(stddev(v * 1.0), 3) AS d FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 13 | 7 | 9.0 | 3.0
*/
