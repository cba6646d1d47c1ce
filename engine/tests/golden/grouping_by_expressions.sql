/* input flows
1970-01-01 00:00:01,ab,6
1970-01-01 00:00:06,ac,3
1970-01-01 00:00:11,b,9
1970-01-01 00:01:11,b,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT substr(k, 1, 1) AS head, v % 2 AS parity, tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows GROUP BY substr(k, 1, 1), v % 2, w;
/* expected results
a | 0 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
a | 1 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
b | 1 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
b | 1 | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1
*/
