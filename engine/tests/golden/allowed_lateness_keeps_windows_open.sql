/* input flows
1970-01-01 00:00:50,x,1
1970-01-01 00:01:05,x,2
1970-01-01 00:00:59,x,4
1970-01-01 00:01:10,x,8
late> 1970-01-01 00:00:59,x,16
1970-01-01 00:02:30,x,32
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', allowed_lateness = '10 seconds');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
late rows: 1
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 10
x | {start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 32
*/
