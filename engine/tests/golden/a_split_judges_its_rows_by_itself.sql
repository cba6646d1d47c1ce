/* input flows
a> 1970-01-01 00:00:01,x,1
a> 1970-01-01 00:05:01,x,4
b> 1970-01-01 00:00:03,x,8
late> a> 1970-01-01 00:00:04,x,16
b> 1970-01-01 00:06:00,x,32
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
late rows: 1
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 9
x | {start: 1970-01-01T00:05:00, end: 1970-01-01T00:06:00} | 4
x | {start: 1970-01-01T00:06:00, end: 1970-01-01T00:07:00} | 32
*/
