/* input flows
1970-01-01 00:00:05,pear,1
1970-01-01 00:00:06,apple,
1970-01-01 00:00:07,Zebra,4
1970-01-01 00:01:04,,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, min(k) AS a, max(k) AS b, min(ts) AS c, max(ts) AS d, max(ts) - min(ts) AS span FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | Zebra | pear | 1970-01-01T00:00:05 | 1970-01-01T00:00:07 | PT2S
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | ∅ | ∅ | 1970-01-01T00:01:04 | 1970-01-01T00:01:04 | P0D
*/
