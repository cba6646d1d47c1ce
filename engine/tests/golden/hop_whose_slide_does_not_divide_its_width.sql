/* input flows
1970-01-01 00:00:10,x,1
1970-01-01 00:00:12,x,2
1970-01-01 00:00:14,x,4
1970-01-01 00:00:16,y,8
1970-01-01 00:00:21,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, hop(INTERVAL '4 seconds', INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
/* expected results
x | {start: 1970-01-01T00:00:04, end: 1970-01-01T00:00:14} | 2 | 3
x | {start: 1970-01-01T00:00:08, end: 1970-01-01T00:00:18} | 3 | 7
x | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:00:22} | 3 | 22
x | {start: 1970-01-01T00:00:16, end: 1970-01-01T00:00:26} | 1 | 16
x | {start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:30} | 1 | 16
y | {start: 1970-01-01T00:00:08, end: 1970-01-01T00:00:18} | 1 | 8
y | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:00:22} | 1 | 8
y | {start: 1970-01-01T00:00:16, end: 1970-01-01T00:00:26} | 1 | 8
*/
