/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,2
1970-01-01 00:00:03,y,1
1970-01-01 00:00:07,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT count(*) AS n, v, hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, k FROM flows GROUP BY v, w, k;
/* expected results
1 | 1 | {start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | x
1 | 1 | {start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | y
1 | 1 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | y
1 | 1 | {start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | x
1 | 2 | {start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | x
1 | 2 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | x
2 | 1 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | x
*/
