/* input flows
1970-01-01 00:00:00,,1
1970-01-01 00:00:01,x,2
1970-01-01 00:00:08,,4
1970-01-01 00:00:12,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
/* expected results
x | {start: 1970-01-01T00:00:01, end: 1970-01-01T00:00:11, is_cut: false} | 1 | 2
x | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:00:22, is_cut: false} | 1 | 8
∅ | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:18, is_cut: false} | 2 | 5
*/
