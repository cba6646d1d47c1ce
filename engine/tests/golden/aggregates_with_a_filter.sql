/* input flows
1970-01-01 00:00:01,b,6
1970-01-01 00:00:06,c,3
1970-01-01 00:00:11,b,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(*) FILTER (WHERE k = 'b') AS b, sum(v) FILTER (WHERE v < 5) AS small, max(k) FILTER (WHERE v > 100) AS none FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 3 | ∅
*/
