/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:09.999999999,x,2
1970-01-01 00:00:19.999999998,x,4
1970-01-01 00:00:29.999999998,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT session(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:29.999999998, is_cut: false} | 3 | 7
{start: 1970-01-01T00:00:29.999999998, end: 1970-01-01T00:00:39.999999998, is_cut: false} | 1 | 8
*/
