/* input flows
1970-01-01 00:00:05,x,2
1970-01-01 00:00:06,x,4
1970-01-01 00:00:07,x,6
1970-01-01 00:00:08,x,8
1970-01-01 00:01:08,x,6
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, corr(v, v * 3) AS c, covar_samp(v, -v) AS cs, covar_pop(v, v) AS cp FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1.0 | -6.666666666666667 | 5.0
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | ∅ | ∅ | 0.0
*/
