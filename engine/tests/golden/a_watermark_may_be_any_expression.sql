/* input flows
1970-01-01 00:00:50,x,1
1970-01-01 00:01:59,x,2
1970-01-01 00:00:10,x,4
1970-01-01 00:02:00,x,8
late> 1970-01-01 00:00:11,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS date_trunc('minute', ts) - INTERVAL '1 minute')
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1;
/* expected counts
late rows: 1
*/
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 2
{start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 8
*/
