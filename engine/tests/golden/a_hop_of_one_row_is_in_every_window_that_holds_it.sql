/* input flows
1970-01-01 00:00:10,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '3 seconds', INTERVAL '10 seconds') AS w, count(*) AS n FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:03, end: 1970-01-01T00:00:13} | 1
{start: 1970-01-01T00:00:06, end: 1970-01-01T00:00:16} | 1
{start: 1970-01-01T00:00:09, end: 1970-01-01T00:00:19} | 1
*/
