/* input flows
1970-01-01 00:00:01,x,1
@commit
1970-01-01 00:00:02,y,2
@quiet 5s
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '1 day')
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 hour') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, session(INTERVAL '1 hour') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT hop(INTERVAL '30 minutes', INTERVAL '1 hour') AS w, sum(v) AS v FROM flows GROUP BY 1;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 1
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 2
*/
/* expected results_2
x | {start: 1970-01-01T00:00:01, end: 1970-01-01T01:00:01, is_cut: false} | 1
y | {start: 1970-01-01T00:00:02, end: 1970-01-01T01:00:02, is_cut: false} | 2
*/
/* expected results_3
{start: 1969-12-31T23:30:00, end: 1970-01-01T00:30:00} | 3
{start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 3
*/
