/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,5
1970-01-01 00:00:03,z,3
1970-01-01 00:01:01,x,8
1970-01-01 00:01:02,y,9
1970-01-01 00:01:03,y,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, window, total FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window ORDER BY total DESC, k) AS rank FROM (
    SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2))
WHERE rank <= 2;
/* expected results
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 8
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5
y | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 10
z | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 3
*/
