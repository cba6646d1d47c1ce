/* input flows
1970-01-01 00:00:00,a,1
1970-01-01 00:00:15,b,2
@commit
1970-01-01 00:00:08,a,6
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '20 seconds')
WITH (connector = 'test', format = 'csv');
SELECT session(INTERVAL '10 seconds') AS w, avg(v) AS mean, count(DISTINCT k) AS ks, max(k) AS top, var_pop(v) AS var,
  first_value(k ORDER BY ts) AS f, last_value(k ORDER BY ts) AS l, median(v) AS m FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:25, is_cut: false} | 3.0 | 2 | b | 4.666666666666667 | a | b | 2.0
*/
