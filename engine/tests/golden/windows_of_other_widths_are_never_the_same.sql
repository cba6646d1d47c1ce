/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:02,y,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT a.n, b.n AS m FROM (SELECT tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1) a
JOIN (SELECT tumble(INTERVAL '2 minutes') AS window, count(*) AS n FROM flows GROUP BY 1) b ON a.window = b.window;
/* expected results
*/
