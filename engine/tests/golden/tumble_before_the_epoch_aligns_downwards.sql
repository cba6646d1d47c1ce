/* input flows
1969-12-31 23:58:59,x,1
1969-12-31 23:59:00,x,2
1969-12-31 23:59:59.5,x,3
1970-01-01 00:00:00,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY window;
/* expected results
{start: 1969-12-31T23:58:00, end: 1969-12-31T23:59:00} | 1 | 1
{start: 1969-12-31T23:59:00, end: 1970-01-01T00:00:00} | 2 | 5
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 4
*/
