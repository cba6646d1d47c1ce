/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,1
1970-01-01 00:00:03,y,1
1970-01-01 00:01:03,y,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w FROM flows GROUP BY k, w;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00}
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00}
y | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00}
*/
