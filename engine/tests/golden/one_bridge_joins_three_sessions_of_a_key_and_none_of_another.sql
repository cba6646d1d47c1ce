/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:00,y,1
1970-01-01 00:00:12,x,2
1970-01-01 00:00:12,y,2
1970-01-01 00:00:24,x,4
1970-01-01 00:00:06,x,8
1970-01-01 00:00:18,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '1 minute')
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '10 seconds') AS w, count(*) AS n, sum(v) AS total FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:34, is_cut: false} | 5 | 31
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10, is_cut: false} | 1 | 1
y | {start: 1970-01-01T00:00:12, end: 1970-01-01T00:00:22, is_cut: false} | 1 | 2
*/
