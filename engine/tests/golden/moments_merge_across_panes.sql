/* input flows
1970-01-01 00:00:01,x,2
1970-01-01 00:00:02,x,4
1970-01-01 00:00:06,x,9
1970-01-01 00:00:11,x,1
1970-01-01 00:00:12,x,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, avg(v) AS mean, round(var_samp(v), 6) AS var, round(stddev_pop(v), 6) AS dev,
  round(corr(v, v * v), 6) AS c, round(covar_pop(v, 2 * v), 6) AS cov FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | 3.0 | 2.0 | 1.0 | 1.0 | 2.0
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 5.0 | 13.0 | 2.94392 | 0.990807 | 17.333333
{start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | 5.0 | 32.0 | 4.0 | 1.0 | 32.0
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | 1.0 | ∅ | 0.0 | ∅ | 0.0
*/
