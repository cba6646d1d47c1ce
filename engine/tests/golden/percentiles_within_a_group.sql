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
SELECT tumble(INTERVAL '1 minute') AS w, approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS p FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2.0
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 7.0
*/
