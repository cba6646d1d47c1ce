/* input flows
1970-01-01 00:00:50,x,1
1970-01-01 00:01:05,x,2
late> 1970-01-01 00:00:59,x,4
1970-01-01 00:01:30,x,8
late> 1970-01-01 00:00:10,y,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, w BIGINT GENERATED ALWAYS AS (v + 1), WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', late_table = 'late');
CREATE TABLE late (k TEXT, ts TIMESTAMP, v TEXT) WITH (connector = 'sink');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
late rows: 2
*/
/* expected late
x | 1970-01-01T00:00:59 | 4
y | 1970-01-01T00:00:10 | ∅
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 10
*/
