/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,7,9
1970-01-01 00:01:03,8,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (name TEXT, n INT, total DOUBLE, begins TEXT, day DATE) WITH (connector = 'sink');
INSERT INTO out SELECT sum(v), count(*), max(v), window.start, window.start FROM (SELECT v, window FROM (
  SELECT k, v, tumble(INTERVAL '1 minute') AS window FROM flows GROUP BY 1, 2, 3)) GROUP BY window;
/* expected out
10 | 2 | 9.0 | 1970-01-01T00:00:00 | 1970-01-01
5 | 1 | 5.0 | 1970-01-01T00:01:00 | 1970-01-01
*/
