/* input flows
1970-01-01 00:00:01,x,5
1970-01-01 00:00:02,y,5
1970-01-01 00:00:03,z,3
1970-01-01 00:01:01,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, window.start AS s, total, RANK() OVER (PARTITION BY window ORDER BY total DESC) AS rank,
  DENSE_RANK() OVER (PARTITION BY window ORDER BY total DESC) AS dense
FROM (SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2);
/* expected results
x | 1970-01-01T00:00:00 | 5 | 1 | 1
x | 1970-01-01T00:01:00 | 8 | 1 | 1
y | 1970-01-01T00:00:00 | 5 | 1 | 1
z | 1970-01-01T00:00:00 | 3 | 3 | 2
*/
