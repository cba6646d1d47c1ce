/* input flows
1970-01-01 00:00:59.999999999,x,1
1970-01-01 00:01:00,x,2
1970-01-01 00:02:00,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 1
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 2
{start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 1 | 4
*/
