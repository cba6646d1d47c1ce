/* input flows
1970-01-01 00:00:01,x,1
bad> 1970-01-01 00:00:02,x
bad> 1970-01-01 00:00:03,x,one
bad> 1970-01-01 00:00:03,x,2.5
bad> noon,x,1
bad> ,x,1
bad> 1970-01-01 00:00:04,"x,1
bad> 1970-01-01 00:00:05,x,9223372036854775808
1970-01-01 00:00:06,x,2,and more
*/
/* oracle input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:06,x,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(*) AS n, sum(v) AS s, max(k) AS k FROM flows GROUP BY 1;
/* expected counts
bad records, too_short: 1
bad records, wrong_type: 4
bad records, missing: 1
bad records, malformed: 1
*/
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 3 | x
*/
