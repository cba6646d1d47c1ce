/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:09.999,x,2
1970-01-01 00:00:10,x,4
1970-01-01 00:00:25,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '10 seconds', INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 2 | 3
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | 1 | 4
{start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:30} | 1 | 8
*/
