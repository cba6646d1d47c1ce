/* input flows
1970-01-01 00:00:00,x,1
1970-01-01 00:00:14,y,2
1970-01-01 00:00:09,x,4
1970-01-01 00:00:33,y,8
late> 1970-01-01 00:00:27,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', allowed_lateness = '5 seconds');
SELECT k, session(INTERVAL '10 seconds') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
late rows: 1
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:19, is_cut: false} | 5
y | {start: 1970-01-01T00:00:14, end: 1970-01-01T00:00:24, is_cut: false} | 2
y | {start: 1970-01-01T00:00:33, end: 1970-01-01T00:00:43, is_cut: false} | 8
*/
