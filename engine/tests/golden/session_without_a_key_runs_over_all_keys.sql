/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:06,y,2
1970-01-01 00:00:12,x,4
1970-01-01 00:00:30,y,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT session(INTERVAL '10 seconds') AS window, count(DISTINCT k) AS keys, sum(v) AS total FROM flows GROUP BY window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:22, is_cut: false} | 2 | 7
{start: 1970-01-01T00:00:30, end: 1970-01-01T00:00:40, is_cut: false} | 1 | 8
*/
