/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:03,x,4
*/
/* input more
1970-01-01 00:00:11,x,8
1970-01-01 00:01:12,z,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE more (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT window, sum(total) AS total, count(*) AS n FROM (
  SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2 UNION ALL
  SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM more GROUP BY 1, 2) GROUP BY window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 11 | 3
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 20 | 2
*/
