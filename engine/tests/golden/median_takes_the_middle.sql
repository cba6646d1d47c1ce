/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:06,x,2
1970-01-01 00:00:07,y,10
1970-01-01 00:00:08,z,4
1970-01-01 00:00:09,z,
1970-01-01 00:01:09,z,7
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, median(v) AS m, median(DISTINCT v) AS d, approx_median(v) AS am FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 3.0 | 3.0 | 2.0
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 7.0 | 7.0 | 7.0
*/
