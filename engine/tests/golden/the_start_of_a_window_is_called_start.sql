/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:02,y,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, start FROM (SELECT k, window.start FROM (SELECT k, tumble(INTERVAL '1 minute') AS window FROM flows GROUP BY 1, 2));
/* expected results
x | 1970-01-01T00:00:00
y | 1970-01-01T00:01:00
*/
