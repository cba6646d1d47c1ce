/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:05:01,x,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS window, count(*) AS n, sum(v) FILTER (WHERE v > 100) AS big FROM flows GROUP BY window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | ∅
{start: 1970-01-01T00:05:00, end: 1970-01-01T00:06:00} | 1 | ∅
*/
