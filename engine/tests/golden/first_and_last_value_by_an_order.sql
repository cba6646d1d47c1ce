/* input flows
1970-01-01 00:00:05,b,6
1970-01-01 00:00:07,c,3
1970-01-01 00:00:06,d,9
1970-01-01 00:01:08,e,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '10 seconds')
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, first_value(k ORDER BY ts) AS f, last_value(k ORDER BY ts) AS l, first_value(k ORDER BY v DESC) AS most FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | b | c | d
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | e | e | e
*/
