/* input flows
1970-01-01 00:00:01,a,2
1970-01-01 00:00:02,b,4
1970-01-01 00:00:06,a,9
1970-01-01 00:00:11,c,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, median(v) AS m, approx_distinct(k) AS ks, approx_median(v) AS am FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | 3.0 | 2 | 3.0
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 4.0 | 2 | 4.0
{start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | 5.0 | 2 | 5.0
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | 1.0 | 1 | 1.0
*/
