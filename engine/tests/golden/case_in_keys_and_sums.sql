/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,20
1970-01-01 00:00:03,z,300
1970-01-01 00:01:03,z,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT CASE WHEN v < 10 THEN 'small' WHEN v < 100 THEN 'middle' ELSE 'large' END AS size, tumble(INTERVAL '1 minute') AS window,
  sum(CASE k WHEN 'z' THEN v ELSE 0 END) AS z FROM flows GROUP BY 1, 2;
/* expected results
large | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 300
middle | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 0
small | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 0
small | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 5
*/
