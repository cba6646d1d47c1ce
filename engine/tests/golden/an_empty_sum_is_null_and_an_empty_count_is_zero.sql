/* input flows
1970-01-01 00:00:01,x,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(v) AS n, sum(v) AS s, avg(v) AS a, min(k) FILTER (WHERE false) AS m, bool_and(v > 1) AS b FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 0 | ∅ | ∅ | ∅ | ∅
*/
