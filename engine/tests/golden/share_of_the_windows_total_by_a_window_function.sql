/* input flows
1970-01-01 00:00:01,x,5
1970-01-01 00:00:02,y,15
1970-01-01 00:01:03,z,3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, window.start AS s, total, total * 100 / sum(total) OVER (PARTITION BY window) AS percent,
  lag(total) OVER (PARTITION BY window ORDER BY k) AS before
FROM (SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2);
/* expected results
x | 1970-01-01T00:00:00 | 5 | 25 | ∅
y | 1970-01-01T00:00:00 | 15 | 75 | 5
z | 1970-01-01T00:01:00 | 3 | 100 | ∅
*/
