/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:06,x,1
1970-01-01 00:00:11,x,4
1970-01-01 00:00:12,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '5 seconds', INTERVAL '15 seconds') AS w, count(DISTINCT k) AS ks, count(DISTINCT v) AS vs, sum(DISTINCT v) AS s FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:50, end: 1970-01-01T00:00:05} | 1 | 1 | 1
{start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:10} | 1 | 1 | 1
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:15} | 2 | 2 | 5
{start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:20} | 2 | 2 | 5
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:25} | 2 | 1 | 4
*/
