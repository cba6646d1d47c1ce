/* input flows
1970-01-01 00:00:01,,6
1970-01-01 00:00:06,,3
1970-01-01 00:00:11,x,
1970-01-01 00:00:12,,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, v IS NULL AS none, tumble(INTERVAL '1 minute') AS w, count(*) AS n, count(v) AS nv FROM flows GROUP BY 1, 2, 3;
/* expected results
x | true | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 0
∅ | false | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 2
∅ | true | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 0
*/
