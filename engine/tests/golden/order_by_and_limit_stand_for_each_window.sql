/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
1970-01-01 00:00:03,z,5
1970-01-01 00:01:03,x,5
1970-01-01 00:01:04,y,2
1970-01-01 00:01:05,z,3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2 ORDER BY total DESC LIMIT 2;
/* oracle
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT k, window, total FROM (SELECT *, row_number() OVER (PARTITION BY window ORDER BY total DESC) AS rank FROM (
  SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2)) WHERE rank <= 2;
*/
/* expected results
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 5
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 9
z | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5
z | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 3
*/
