/* input flows
1970-01-01 00:00:01,x,5
1970-01-01 00:01:02,x,1
*/
/* input more
1970-01-01 00:00:03,x,7
1970-01-01 00:00:04,y,8
1970-01-01 00:02:00,y,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE more (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n, sum(v) AS total FROM (SELECT * FROM flows UNION ALL SELECT * FROM more) GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 12
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 1
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 8
y | {start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 1 | 9
*/
