/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:15,x,2
1970-01-01 00:00:08,x,4
1970-01-01 00:00:40,x,8
1970-01-01 00:00:30,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '20 seconds')
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:25, is_cut: false} | 3 | 7
x | {start: 1970-01-01T00:00:30, end: 1970-01-01T00:00:40, is_cut: false} | 1 | 16
x | {start: 1970-01-01T00:00:40, end: 1970-01-01T00:00:50, is_cut: false} | 1 | 8
*/
