/* input t
1970-01-01 00:00:01,0.0
1970-01-01 00:00:02,-0.0
1970-01-01 00:00:03,NaN
1970-01-01 00:00:04,NaN
1970-01-01 00:00:05,
*/
CREATE TABLE t (ts TIMESTAMP, x DOUBLE, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT x, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM t GROUP BY 1, 2;
/* expected results
0.0 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2
NaN | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2
∅ | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
*/
