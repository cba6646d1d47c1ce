/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:06,y,2
1970-01-01 00:00:31,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW s AS SELECT session(INTERVAL '10 seconds') AS window, sum(v) AS total FROM flows GROUP BY 1;
SELECT a.window, a.total, b.total AS again FROM s a JOIN s b ON a.window = b.window;
/* expected results
{start: 1970-01-01T00:00:01, end: 1970-01-01T00:00:16, is_cut: false} | 3 | 3
{start: 1970-01-01T00:00:31, end: 1970-01-01T00:00:41, is_cut: false} | 4 | 4
*/
