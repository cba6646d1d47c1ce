/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:20,x,2
1970-01-01 00:00:12,x,4
late> 1970-01-01 00:00:09,x,8
1970-01-01 00:00:30,x,16
*/
/* no oracle: a row that is late for its first window but not for its last */
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS w, sum(v) AS v FROM flows GROUP BY 1;
/* expected counts
late rows: 1
*/
/* expected results
{start: 1969-12-31T23:59:50, end: 1970-01-01T00:00:10} | 1
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:20} | 1
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:30} | 6
{start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:40} | 18
{start: 1970-01-01T00:00:30, end: 1970-01-01T00:00:50} | 16
*/
