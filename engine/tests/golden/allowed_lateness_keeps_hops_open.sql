/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:24,x,2
1970-01-01 00:00:08,x,4
1970-01-01 00:00:40,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', allowed_lateness = '15 seconds');
SELECT hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS w, sum(v) AS v FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:50, end: 1970-01-01T00:00:10} | 5
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:20} | 5
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:30} | 2
{start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:40} | 2
{start: 1970-01-01T00:00:30, end: 1970-01-01T00:00:50} | 8
{start: 1970-01-01T00:00:40, end: 1970-01-01T00:01:00} | 8
*/
