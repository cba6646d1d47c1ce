/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:06,x,2
1970-01-01 00:00:07,y,3
1970-01-01 00:00:08,z,3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, approx_distinct(k) AS ks, approx_distinct(v) AS vs FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 3 | 3
*/
