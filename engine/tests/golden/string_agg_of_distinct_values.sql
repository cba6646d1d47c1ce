/* input flows
1970-01-01 00:00:05,b,2
1970-01-01 00:00:06,b,2
1970-01-01 00:00:07,b,2
1970-01-01 00:01:08,c,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, string_agg(DISTINCT k, ';') AS ks FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | b
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | c
*/
