/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:09,x,2
1970-01-01 00:00:12,y,3
1970-01-01 00:00:20,x,4
1970-01-01 00:00:31,x,5
1970-01-01 00:00:41,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
/* expected results
x | {start: 1970-01-01T00:00:01, end: 1970-01-01T00:00:19, is_cut: false} | 2 | 3
x | {start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:30, is_cut: false} | 1 | 4
x | {start: 1970-01-01T00:00:31, end: 1970-01-01T00:00:41, is_cut: false} | 1 | 5
x | {start: 1970-01-01T00:00:41, end: 1970-01-01T00:00:51, is_cut: false} | 1 | 5
y | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:00:22, is_cut: false} | 1 | 3
*/
