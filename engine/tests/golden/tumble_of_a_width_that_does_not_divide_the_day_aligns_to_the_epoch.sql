/* input flows
2024-05-01 12:00:00,x,1
2024-05-01 12:00:06,x,2
2024-05-01 12:00:07,x,3
2024-05-01 12:00:13,x,4
2024-05-01 12:00:14,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT window.start AS s, window."end" AS e, n FROM (
  SELECT tumble(INTERVAL '7 seconds') AS window, count(*) AS n FROM flows GROUP BY 1);
/* expected results
2024-05-01T11:59:56 | 2024-05-01T12:00:03 | 1
2024-05-01T12:00:03 | 2024-05-01T12:00:10 | 2
2024-05-01T12:00:10 | 2024-05-01T12:00:17 | 2
*/
