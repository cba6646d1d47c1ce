/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:05:01,x,2
1970-01-01 00:09:01,x,4
*/
/* input more
1970-01-01 00:00:02,x,8
1970-01-01 00:00:03,x,16
1970-01-01 00:00:04,x,32
1970-01-01 00:00:05,x,64
1970-01-01 00:00:06,x,128
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE more (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(*) AS n, sum(v) AS v FROM (SELECT ts, v FROM flows UNION ALL SELECT ts, v FROM more) GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 6 | 249
{start: 1970-01-01T00:05:00, end: 1970-01-01T00:06:00} | 1 | 2
{start: 1970-01-01T00:09:00, end: 1970-01-01T00:10:00} | 1 | 4
*/
