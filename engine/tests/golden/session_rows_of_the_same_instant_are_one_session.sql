/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:05,x,2
1970-01-01 00:00:05,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '1 second') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
/* expected results
x | {start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:06, is_cut: false} | 2 | 3
y | {start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:06, is_cut: false} | 1 | 4
*/
