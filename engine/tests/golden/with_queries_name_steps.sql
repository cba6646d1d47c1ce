/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
1970-01-01 00:01:03,z,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
WITH big AS (SELECT * FROM flows WHERE v > 1), counted AS (
  SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM big GROUP BY 1, 2)
SELECT k, n, window."end" AS e FROM counted;
/* expected results
y | 1 | 1970-01-01T00:01:00
z | 1 | 1970-01-01T00:02:00
*/
