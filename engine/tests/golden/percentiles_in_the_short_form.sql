/* input flows
1970-01-01 00:00:05,x,1
1970-01-01 00:00:06,x,2
1970-01-01 00:00:07,y,10
1970-01-01 00:00:16,z,4
1970-01-01 00:00:17,z,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS w, approx_percentile_cont(v, 0.5) AS p, regr_slope(v, 2 * v) AS slope, regr_count(v, v) AS n FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:50, end: 1970-01-01T00:00:10} | 2.0 | 0.5 | 3
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:20} | 2.0 | 0.5 | 4
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:30} | 4.0 | ∅ | 1
*/
