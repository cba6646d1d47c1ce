/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:00:03,z,-1
1970-01-01 00:01:04,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT abs(v) = 1 AS unit, CAST(ts AS DATE) AS day, v / 2.0 AS half, date_trunc('minute', ts) AS minute, tumble(INTERVAL '1 hour') AS w, count(*) AS n FROM flows GROUP BY 1, 2, 3, 4, 5;
/* expected results
false | 1970-01-01 | 1.0 | 1970-01-01T00:00:00 | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 1
true | 1970-01-01 | -0.5 | 1970-01-01T00:00:00 | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 1
true | 1970-01-01 | 0.5 | 1970-01-01T00:00:00 | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 1
true | 1970-01-01 | 0.5 | 1970-01-01T00:01:00 | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 1
*/
