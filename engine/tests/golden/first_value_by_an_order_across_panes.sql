/* input flows
1970-01-01 00:00:01,b,6
1970-01-01 00:00:06,c,3
1970-01-01 00:00:11,d,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, first_value(k ORDER BY v) AS least, last_value(k ORDER BY v) AS most, array_agg(k ORDER BY ts) AS ks FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | b | b | [b]
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | c | b | [b, c]
{start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | c | d | [c, d]
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | d | d | [d]
*/
