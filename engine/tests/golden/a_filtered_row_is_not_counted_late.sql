/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:30,x,2
1970-01-01 00:00:02,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows WHERE k = 'x' GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 2
*/
