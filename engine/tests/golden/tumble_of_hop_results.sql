/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:06,x,2
1970-01-01 00:00:11,y,4
1970-01-01 00:00:21,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW hops AS SELECT k, hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS window, sum(v) AS total FROM flows GROUP BY k, window;
SELECT tumble(INTERVAL '20 seconds') AS window, count(*) AS n, sum(total) AS total, max(total) AS peak FROM hops GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:20} | 5 | 14 | 4
{start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:40} | 2 | 16 | 8
*/
