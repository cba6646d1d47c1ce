/* input flows
1970-01-01 00:00:01,x,5
1970-01-01 00:00:02,x,1
1970-01-01 00:00:03,y,6
1970-01-01 00:01:03,x,3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY k, window HAVING count(*) > 1 OR max(v) > 5;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 6
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 6
*/
