/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:10,x,2
1970-01-01 00:00:19.9,y,4
1970-01-01 00:00:20,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY window;
/* expected results
{start: 1969-12-31T23:59:50, end: 1970-01-01T00:00:10} | 1 | 1
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:20} | 3 | 7
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:30} | 3 | 14
{start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:40} | 1 | 8
*/
