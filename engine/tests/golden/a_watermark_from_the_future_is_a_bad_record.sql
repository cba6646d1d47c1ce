/* input flows
1970-01-01 00:00:01,1970-01-01 00:00:01,1
bad> 1970-01-01 00:00:02,1999-01-01 00:00:01,2
1970-01-01 00:00:03,1970-01-01 00:00:01,4
1970-01-01 00:01:05,1970-01-01 00:01:01,8
*/
CREATE TABLE flows (ts TIMESTAMP, seen TIMESTAMP, v BIGINT, WATERMARK FOR ts AS seen)
WITH (connector = 'test', format = 'csv', max_future = '1 hour');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1;
/* expected counts
bad records, future: 1
*/
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 8
*/
