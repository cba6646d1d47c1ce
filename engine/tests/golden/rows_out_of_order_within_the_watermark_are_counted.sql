/* input flows
1970-01-01 00:00:50,x,1
1970-01-01 00:01:04.999,x,2
1970-01-01 00:00:59,x,4
1970-01-01 00:00:01,x,8
1970-01-01 00:01:30,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 13
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 18
*/
