/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,1
1970-01-01 00:00:03,x,2
1970-01-01 00:00:04,y,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(DISTINCT struct(k, v)) AS n, count(DISTINCT k || '-' || v) AS m FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 3 | 3
*/
