/* input flows
1,?,1970-01-01 00:00:01,x
2,?,1970-01-01 00:00:02,y
*/
/* oracle input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', csv.columns = 'v,unused,ts,k');
SELECT ts, k, v FROM flows;
/* expected results
1970-01-01T00:00:01 | x | 1
1970-01-01T00:00:02 | y | 2
*/
