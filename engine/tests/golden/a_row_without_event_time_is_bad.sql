/* input flows
1970-01-01 00:00:01,x,1
bad> ,y,2
1970-01-01 00:00:03,z,3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS s FROM flows GROUP BY 1;
/* expected counts
bad records, missing: 1
*/
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 4
*/
