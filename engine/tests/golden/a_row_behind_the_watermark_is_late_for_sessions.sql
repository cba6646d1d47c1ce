/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:08,x,2
1970-01-01 00:00:13,y,4
late> 1970-01-01 00:00:12,x,8
1970-01-01 00:00:40,x,16
late> 1970-01-01 00:00:39,z,32
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '10 seconds') AS w, count(*) AS n, sum(v) AS total FROM flows GROUP BY 1, 2;
/* expected counts
late rows: 2
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:18, is_cut: false} | 2 | 3
x | {start: 1970-01-01T00:00:40, end: 1970-01-01T00:00:50, is_cut: false} | 1 | 16
y | {start: 1970-01-01T00:00:13, end: 1970-01-01T00:00:23, is_cut: false} | 1 | 4
*/
