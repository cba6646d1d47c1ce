/* input flows
a> 1970-01-01 00:00:01,x,1
b> 1970-01-01 00:00:02,x,2
a> 1970-01-01 00:05:01,x,4
@quiet 11s
@quiet 1s
a> 1970-01-01 00:05:02,x,8
@commit
@commit
late> b> 1970-01-01 00:00:03,x,16
a> 1970-01-01 00:06:01,x,32
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', idle_timeout = '10 seconds');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
late rows: 1
late at the merge, unknown: 1
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 3
x | {start: 1970-01-01T00:05:00, end: 1970-01-01T00:06:00} | 12
x | {start: 1970-01-01T00:06:00, end: 1970-01-01T00:07:00} | 32
*/
