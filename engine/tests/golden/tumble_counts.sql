/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:59.999,x,2
1970-01-01 00:01:00,x,3
1970-01-01 00:01:30,y,4
1970-01-01 00:03:00,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 3
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 3
x | {start: 1970-01-01T00:03:00, end: 1970-01-01T00:04:00} | 1 | 5
y | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 4
*/
