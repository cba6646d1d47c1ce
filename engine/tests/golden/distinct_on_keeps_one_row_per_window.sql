/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:03,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT DISTINCT ON (window) window, k, v FROM per_key ORDER BY window, v DESC;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | y | 2
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | x | 4
*/
