/* input flows
1970-01-01 00:00:05,x,2
1970-01-01 00:00:06,x,4
1970-01-01 00:00:07,x,4
1970-01-01 00:00:08,x,6
1970-01-01 00:01:08,x,6
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, stddev(v) AS s, stddev_pop(v) AS sp, var_pop(v) AS vp, var_samp(v) AS vs FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1.632993161855452 | 1.4142135623730951 | 2.0 | 2.6666666666666665
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | ∅ | 0.0 | 0.0 | ∅
*/
