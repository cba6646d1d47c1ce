/* input flows
a> 1970-01-01 00:00:01,x,1
b> 1970-01-01 00:01:30,x,2
@quiet 60s
@quiet 60s
@commit
b> 1970-01-01 00:00:02,x,4
a> 1970-01-01 00:00:03,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '1 minute')
WITH (connector = 'test', format = 'csv', idle_timeout = '10 seconds');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 13
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 2
*/
