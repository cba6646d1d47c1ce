/* input flows
1970-01-01 00:00:01,x,1
@commit
1970-01-01 00:00:02,x,2
@commit
@commit
1970-01-01 00:00:02,y,4
1970-01-01 00:01:03,x,8
@commit
1970-01-01 00:01:04,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, count(*) AS n, sum(v) AS v, avg(v) AS mean FROM flows GROUP BY 1, 2;
SELECT k, session(INTERVAL '10 seconds') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 3 | 1.5
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 2 | 24 | 12.0
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 4 | 4.0
*/
/* expected results_2
x | {start: 1970-01-01T00:00:01, end: 1970-01-01T00:00:12, is_cut: false} | 3
x | {start: 1970-01-01T00:01:03, end: 1970-01-01T00:01:14, is_cut: false} | 24
y | {start: 1970-01-01T00:00:02, end: 1970-01-01T00:00:12, is_cut: false} | 4
*/
