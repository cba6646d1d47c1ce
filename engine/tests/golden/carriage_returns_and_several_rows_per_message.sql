/* input flows
raw> 1970-01-01 00:00:01,x,1\r
raw> 1970-01-01 00:00:02,y,2\r\n1970-01-01 00:00:03,z,3\r\n
raw> 1970-01-01 00:00:04,"q,r",4\n1970-01-01 00:00:05,,5
*/
/* oracle input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:00:03,z,3
1970-01-01 00:00:04,"q,r",4
1970-01-01 00:00:05,,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT ts, k, v FROM flows;
/* expected results
1970-01-01T00:00:01 | x | 1
1970-01-01T00:00:02 | y | 2
1970-01-01T00:00:03 | z | 3
1970-01-01T00:00:04 | q,r | 4
1970-01-01T00:00:05 | ∅ | 5
*/
